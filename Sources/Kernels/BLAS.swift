#if canImport(Accelerate)
import Accelerate
#else
import COpenBLAS
#endif

/// Single-precision matrix products of the system's BLAS, each in the calling thread.
enum BLAS {
  /// OpenBLAS splits work by its number of threads, and results depend on how; we split ourselves.
  private static let single: Void = {
    #if !canImport(Accelerate)
    openblas_set_num_threads(1)
    #endif
  }()

  /// A matrix in memory, row-major, rows `stride` elements apart.
  struct Factor {
    let pointer: UnsafePointer<Float>
    let stride: Int
    /// Whether the product takes it with rows and columns exchanged.
    var transposed = false
  }

  /// c [m, n] = a [m, k] · b [k, n] + beta · c, where the rows of c are `stride` elements apart.
  static func multiply(
    _ a: Factor,
    _ b: Factor,
    m: Int,
    n: Int,
    k: Int,
    beta: Float,
    into c: UnsafeMutablePointer<Float>,
    stride: Int
  ) {
    _ = single
    cblas_sgemm(
      CblasRowMajor,
      a.transposed ? CblasTrans : CblasNoTrans,
      b.transposed ? CblasTrans : CblasNoTrans,
      Int32(m),
      Int32(n),
      Int32(k),
      1,
      a.pointer,
      Int32(a.stride),
      b.pointer,
      Int32(b.stride),
      beta,
      c,
      Int32(stride)
    )
  }
}
