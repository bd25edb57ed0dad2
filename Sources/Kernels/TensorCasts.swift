package import KaratTensors

extension Tensor {
  /// The same numbers as float32, aligned: a copy, or the tensor itself where it is that already.
  ///
  /// - Precondition: the type is F16, BF16, F32, F64 or an 8-bit float.
  package func asFloat32(on workers: Workers) -> Tensor {
    if dtype == .f32, isAligned { return self }
    return Tensor(.f32, shape) { out in
      guard let target = out.baseAddress else { return }
      withBytes { bytes in
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        if dtype == .f32 {
          target.copyMemory(from: source, byteCount: bytes.count)
        } else if dtype == .f64 {
          let floats = target.assumingMemoryBound(to: Float.self)
          for index in 0..<shape.elementCount {
            floats[index] = Float(
              source.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
            )
          }
        } else {
          guard let format = dtype.castSource else {
            preconditionFailure("\(dtype.rawValue) is not a floating-point type that runs")
          }
          castToFloat32(
            source,
            from: format,
            count: shape.elementCount,
            out: target.assumingMemoryBound(to: Float.self),
            on: workers
          )
        }
      }
    }
  }

  /// The same numbers rounded to another type: F32, F16 or BF16, ties to even.
  package func cast(to target: DType, on workers: Workers) -> Tensor {
    if target == dtype { return self }
    let floats = asFloat32(on: workers)
    guard let format = target.castTarget else { return floats }
    return Tensor(target, shape) { out in
      guard let base = out.baseAddress, shape.elementCount > 0 else { return }
      floats.withElements(as: Float.self) { floats in
        guard let source = floats.baseAddress else { return }
        castFromFloat32(source, to: format, count: floats.count, out: base, on: workers)
      }
    }
  }

  private var isAligned: Bool {
    withBytes { Int(bitPattern: $0.baseAddress) % MemoryLayout<Float>.alignment == 0 }
  }
}

extension DType {
  /// Whether a parameter of this type can be widened to float32 and run.
  package var isRunnable: Bool { self == .f32 || self == .f64 || castSource != nil }

  fileprivate var castSource: CastSource? {
    switch self {
    case .f16: .float16
    case .bf16: .bfloat16
    case .f8E4M3: .float8E4M3
    case .f8E5M2: .float8E5M2
    case .f8E4M3FNUZ: .float8E4M3FNUZ
    case .f8E5M2FNUZ: .float8E5M2FNUZ
    default: nil
    }
  }

  fileprivate var castTarget: CastTarget? {
    switch self {
    case .f16: .float16
    case .bf16: .bfloat16
    case .f8E4M3: .float8E4M3
    case .f8E5M2: .float8E5M2
    default: nil
    }
  }
}

extension Tensor {
  /// Codes I8[rows, columns] times the scales F32[rows, 1] of their rows, as float32.
  package func dequantized(byRows scales: Tensor, on workers: Workers) -> Tensor {
    Tensor(.f32, shape) { bytes in
      guard let out = bytes.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      withElements(as: Int8.self) { codes in
        scales.withElements(as: Float.self) { scales in
          guard let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
          dequantizeRows(
            codes: codes,
            rows: shape[0],
            columns: shape[1],
            scales: scales,
            out: out,
            on: workers
          )
        }
      }
    }
  }
}
