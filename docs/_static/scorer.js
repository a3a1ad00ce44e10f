// The order of the search's results. What is in dlfs itself comes first: Conv2D before the function
// conv2d of the kernels. The title of a page of the reference repeats the object that it describes.
var Scorer = {
  score: (result) => {
    const [docname, , , , score, , kind] = result;
    if (!docname.startsWith("api/dlfs.")) return score;
    if (kind === "title") return 0;
    return score + (docname.split(".").length === 2 ? 5 : 0);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
