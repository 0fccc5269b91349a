"""Score float16 features where they lie. Beside `_faiss` the only file that imports FAISS; knows nothing of pictures.

NumPy turns float16 into float32 by software, a core at 1 GB/s; the machine reads memory twenty times as fast. FAISS has
an inner product of float32 with float16 by vector instructions, in its 16-bit scalar quantizer, whose codes are plain
float16. So each piece of the memory-mapped features is given to it as the codes of an index of its own, not copied.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoders import Features
from ..store import Half


class HalfPiece:
    """Contiguous features (n, R, D) float16 that can be scanned; keeps them alive, copies nothing."""

    def __init__(self, features: Half, first_row: int) -> None:
        """first_row: the row of the first feature. Raises AttributeError where FAISS cannot look at foreign memory."""
        import faiss

        assert features.flags.c_contiguous, "only whole rows can be scanned in place"
        self._features = features
        self._bytes = features.view(np.uint8).reshape(-1)
        self._first_row = first_row
        self._index: Any = faiss.IndexScalarQuantizer(
            features.shape[-1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        codes: Any = faiss.MaybeOwnedVectorUInt8  # a view needs an owner: the empty one of an empty vector
        self._index.codes = codes.create_view(faiss.swig_ptr(self._bytes), self._bytes.size, codes().owner)
        self._index.ntotal, self._index.is_trained = features.shape[0] * features.shape[1], True

    def __len__(self) -> int:
        """Rows."""
        return int(self._index.ntotal)

    def top(self, queries: Features, depth: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows (Q, depth <= len) of the best rows of each query (Q, D), on this thread alone."""
        import faiss

        faiss.omp_set_num_threads(1)  # of the calling thread only: the callers are our own threads
        scores, rows = self._index.search(queries, depth)
        return scores, rows + self._first_row


def can_scan() -> bool:
    """Whether this FAISS can look at foreign memory."""
    try:
        HalfPiece(np.zeros((1, 1, 8), np.float16), 0)
    except (ImportError, AttributeError, TypeError):
        return False
    return True
