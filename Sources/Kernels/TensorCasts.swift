import CKernels
package import KaratTensors
import Synchronization

extension Tensor {
  /// The same numbers as float32, aligned: a copy, or the tensor itself where it is that already.
  ///
  /// - Precondition: `dtype.isRunnable`.
  package func asFloat32(on workers: Workers) -> Tensor {
    if dtype == .f32, isAligned { return self }
    return Tensor(.f32, shape) { out in
      guard let target = out.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      withBytes { bytes in
        guard let source = bytes.baseAddress else { return }
        workers.forEachRun(of: elementsPerTile, in: shape.elementCount) { run in
          widen(source, dtype, run, isRoundedAgain: false, out: target + run.lowerBound)
        }
      }
    }
  }

  /// The same numbers rounded to another type: F32, F16 or BF16, ties to even.
  ///
  /// Correctly rounded also from F64. NaN stays NaN; a finite number beyond the type's greatest
  /// becomes infinite, and is counted.
  ///
  /// - Precondition: `dtype.isRunnable`.
  /// - Returns: the tensor, and how many of its infinities were finite before.
  package func cast(to target: DType, on workers: Workers) -> (tensor: Tensor, overflows: Int) {
    if target == dtype { return (self, 0) }
    let overflows = Atomic(0)
    let tensor = Tensor(target, shape) { out in
      guard let base = out.baseAddress else { return }
      withBytes { bytes in
        guard let source = bytes.baseAddress else { return }
        workers.forEachRun(of: elementsPerTile, in: shape.elementCount) { run in
          let found = narrow(source, dtype, run, to: target, out: base)
          if found > 0 { overflows.add(found, ordering: .relaxed) }
        }
      }
    }
    return (tensor, overflows.load(ordering: .relaxed))
  }

  private var isAligned: Bool {
    withBytes { Int(bitPattern: $0.baseAddress) % MemoryLayout<Float>.alignment == 0 }
  }
}

/// Widens a run of numbers to float32, or brings doubles there.
private func widen(
  _ source: UnsafeRawPointer,
  _ dtype: DType,
  _ run: Range<Int>,
  isRoundedAgain: Bool,
  out: UnsafeMutablePointer<Float>
) {
  let first = source + run.lowerBound * dtype.block.bytes
  switch dtype {
  case .f32:
    UnsafeMutableRawPointer(out).copyMemory(from: first, byteCount: run.count * 4)
  case .f64: kernels.from_float64(first, run.count, isRoundedAgain, out)
  default:
    guard let format = dtype.castSource else {
      preconditionFailure("\(dtype.rawValue) is not a floating-point type that runs")
    }
    castToFloat32(first, from: format, count: run.count, out: out, on: Workers(threads: 1))
  }
}

/// Casts a run of numbers, a part that stays in the cache at a time.
///
/// - Returns: how many finite numbers became infinite.
private func narrow(
  _ source: UnsafeRawPointer,
  _ dtype: DType,
  _ run: Range<Int>,
  to target: DType,
  out: UnsafeMutableRawPointer
) -> Int {
  let part = 4096
  var overflows = 0
  withScratch(part) { floats in
    for start in stride(from: run.lowerBound, to: run.upperBound, by: part) {
      let part = start..<min(start + part, run.upperBound)
      widen(source, dtype, part, isRoundedAgain: target != .f32, out: floats)
      let place = out + part.lowerBound * target.block.bytes
      if let format = target.castTarget {
        castFromFloat32(floats, to: format, count: part.count, out: place, on: Workers(threads: 1))
      } else {
        place.copyMemory(from: floats, byteCount: part.count * 4)
      }
      let range = kernels.extremes(floats, part.count)
      guard !range.finite || max(-range.minimum, range.maximum) >= target.overflowStart else {
        continue
      }
      for index in part.indices {
        let size = abs(floats[index - part.lowerBound])
        let wasFinite =
          dtype == .f64
          ? source.loadUnaligned(fromByteOffset: index * 8, as: Double.self).isFinite
          : size.isFinite
        if wasFinite, size >= target.overflowStart { overflows += 1 }
      }
    }
  }
  return overflows
}

extension DType {
  /// The least magnitude that rounds to infinity, as a float32.
  fileprivate var overflowStart: Float {
    switch self {
    case .f16: 65520
    case .bf16: Float(bitPattern: 0x7f7f_8000)
    default: .infinity
    }
  }
}

extension DType {
  /// Whether a parameter of this type can be widened to float32 and run.
  package var isRunnable: Bool { self == .f32 || self == .f64 || castSource != nil }

  var castSource: CastSource? {
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
