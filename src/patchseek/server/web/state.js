// What is looked for and what was found: the one state of the search page.

// A query: {query_id or image_id, file, name, width, height, src, box}. answer: the last one, of which `results` are the
// pages so far; isSettled: whether it is final. asked: the pictures that were searched with. selected: by image_id.
export const state = {
  collection: null, queries: [], active: 0, exclude: [],
  answer: null, asked: [], results: [], isSettled: true, selected: new Map(), isUnfolded: false,
  settling: Promise.resolve(), // done when no search is under way
};

export const features = () => state.collection?.features ?? {};
export const current = () => state.queries[state.active];
export const doubtful = () => state.answer?.collection.doubtful_below ?? 0;
