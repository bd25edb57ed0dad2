import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Whether long tests run: `KARAT_LONG=1` in the environment.
let runsLong = ProcessInfo.processInfo.environment["KARAT_LONG"] == "1"

/// The bytes of a KCF file of a source.
func chunked(
  _ source: some TensorSource,
  attachments: [String: [UInt8]] = [:],
  base: ChunkedWriter.Base? = nil,
  threads: Int? = nil
) throws -> [UInt8] {
  var bytes: [UInt8] = []
  try inTemporaryFolder { folder in
    let path = "\(folder)/model.kcf"
    try ChunkedWriter(threads: threads)
      .write(source, attachments: attachments, base: base, to: path)
    bytes = try read(path)
  }
  return bytes
}

/// A reader of bytes in memory.
func reader(_ bytes: [UInt8], base: (any TensorSource)? = nil) throws -> ChunkedReader {
  try ChunkedReader(CheckpointFile(bytes, named: "memory.kcf"), base: base)
}

extension Numbers {
  /// Bytes of several kinds: any, few values, a repetition, weights.
  mutating func bytes(_ count: Int, of dtype: DType) -> [UInt8] {
    switch next() % 5 {
    case 0: return (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    case 1: return (0..<count).map { _ in UInt8(next() % 3) }
    case 2:
      let period = [1, 2, 4, 8, 3][Int(next() % 5)]
      let pattern = (0..<period).map { _ in UInt8(truncatingIfNeeded: next()) }
      return (0..<count).map { pattern[$0 % period] }
    case 3: return [UInt8](repeating: 0, count: count)
    default:
      // Numbers of similar size: the upper bytes agree, the lower ones do not.
      let width = [1, 2, 4, 8].last { dtype.block.bytes.isMultiple(of: $0) } ?? 1
      return (0..<count).map { place in
        place % width == width - 1 ? 0x3c + UInt8(next() % 3) : UInt8(truncatingIfNeeded: next())
      }
    }
  }

  /// A tensor of any shape with at most so many elements.
  mutating func tensor(of dtype: DType, elements limit: Int) -> Tensor {
    var extents: [Int] = []
    var left = max(limit / dtype.block.elements, 1)
    for _ in 0..<Int(next() % 5) {
      let extent = [0, 1, 1, 2, 3, 7, 13, 31, 64, 257, 1021][Int(next() % 11)]
      if extent > left { continue }
      extents.append(extent)
      left /= max(extent, 1)
    }
    // A block type needs a last extent of whole blocks.
    if dtype.block.elements > 1 { extents.append(dtype.block.elements) }
    let shape = Shape(extents)
    return Tensor(dtype, shape) { buffer in
      buffer.copyBytes(from: bytes(buffer.count, of: dtype))
    }
  }
}
