import CKernels

/// Number formats of 16 and 8 bits that floats are cast from.
package enum CastSource: CaseIterable, Sendable {
  case float16, bfloat16, float8E4M3, float8E5M2, float8E4M3FNUZ, float8E5M2FNUZ

  /// Bytes of one number.
  package var byteCount: Int {
    switch self {
    case .float16, .bfloat16: 2
    case .float8E4M3, .float8E5M2, .float8E4M3FNUZ, .float8E5M2FNUZ: 1
    }
  }

  var format: karat_float_format {
    switch self {
    case .float16: KARAT_F16
    case .bfloat16: KARAT_BF16
    case .float8E4M3: KARAT_F8_E4M3
    case .float8E5M2: KARAT_F8_E5M2
    case .float8E4M3FNUZ: KARAT_F8_E4M3FNUZ
    case .float8E5M2FNUZ: KARAT_F8_E5M2FNUZ
    }
  }
}

/// Number formats that floats are cast to.
package enum CastTarget: CaseIterable, Sendable {
  case float16, bfloat16, float8E4M3, float8E5M2

  /// The same format to cast from.
  package var source: CastSource {
    switch self {
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float8E4M3: .float8E4M3
    case .float8E5M2: .float8E5M2
    }
  }
}

/// Casts `count` numbers to float32, exactly; the source need not be aligned.
///
/// NaN stays NaN with its sign and payload; signalling NaN of F16 and F8_E5M2 becomes quiet.
package func castToFloat32(
  _ source: UnsafeRawPointer,
  from dtype: CastSource,
  count: Int,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    kernels.to_float32(
      source + run.lowerBound * dtype.byteCount,
      dtype.format,
      run.count,
      out + run.lowerBound
    )
  }
}

/// Casts `count` floats, rounding to nearest with ties to even; `out` need not be aligned.
///
/// Beyond the greatest number, F16, BF16 and F8_E5M2 go to infinity, and F8_E4M3, which has none,
/// stays at its greatest, 448, as PyTorch has it. NaN stays NaN.
package func castFromFloat32(
  _ x: UnsafePointer<Float>,
  to dtype: CastTarget,
  count: Int,
  out: UnsafeMutableRawPointer,
  on workers: Workers
) {
  let source = dtype.source
  workers.forEachRun(of: elementsPerTile, in: count) { run in
    kernels.from_float32(
      x + run.lowerBound,
      source.format,
      run.count,
      out + run.lowerBound * source.byteCount
    )
  }
}
