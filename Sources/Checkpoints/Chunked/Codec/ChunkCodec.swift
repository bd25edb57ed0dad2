import KaratBytes
package import KaratTensors

/// Stores chunks of at most 1 MiB of one tensor in fewer bytes, without loss.
///
/// The same bytes of the same type give the same stored bytes, on any processor. All functions may
/// be called from any thread; work memory is kept and used again.
package enum ChunkCodec {
  /// The most bytes of a chunk.
  package static let largestChunk = 1 << 20

  /// Encodes a chunk.
  ///
  /// - Parameters:
  ///   - raw: the chunk, at most `largestChunk` bytes.
  ///   - dtype: what the bytes are; a chunk may begin or end within a block of it.
  ///   - target: where the stored bytes go; as long as the chunk or longer, since they never need more.
  /// - Returns: how it was stored, and in how many bytes.
  package static func encode(
    _ raw: UnsafeRawBufferPointer,
    of dtype: DType,
    into target: UnsafeMutableRawBufferPointer
  ) -> (encoding: ChunkEncoding, byteCount: Int) {
    precondition(raw.count <= largestChunk && target.count >= raw.count)
    if let period = period(of: raw) {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[..<period]))
      return (ChunkEncoding(.fill), period)
    }
    let filter = ChunkEncoding.Filter(for: dtype)
    let size = Planes(filter).flatMap { planes in
      encode(raw, planes, into: target)
    }
    if let size, size < raw.count { return (ChunkEncoding(.planes, filter), size) }
    let whole = UnsafeMutableRawBufferPointer(rebasing: target[..<raw.count])
    if let size = Zstandard.compress(raw, into: whole, .level(1)), size < raw.count {
      return (ChunkEncoding(.zstd), size)
    }
    target.copyMemory(from: raw)
    return (ChunkEncoding(.raw), raw.count)
  }

  /// The stored bytes of all planes, or nil where they do not fit into as many as the chunk has.
  private static func encode(
    _ raw: UnsafeRawBufferPointer,
    _ planes: Planes,
    into target: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let header = 4 * planes.count
    guard let size = planes.size(ofChunk: raw.count), header < raw.count else { return nil }
    return scratch.withResource { scratch in
      let split = UnsafeMutableRawBufferPointer(rebasing: scratch.bytes[..<raw.count])
      planes.split(raw, into: split)
      var end = header
      for plane in 0..<planes.count {
        let bytes = UnsafeRawBufferPointer(rebasing: split[plane * size..<(plane + 1) * size])
        let room = UnsafeMutableRawBufferPointer(rebasing: target[end..<raw.count])
        var length = size
        if let compressed = Zstandard.compress(bytes, into: room, .entropy), compressed < size {
          length = compressed
        } else {
          guard room.count >= size else { return nil }
          room.copyMemory(from: bytes)
        }
        target.storeBytes(
          of: UInt32(length).littleEndian,
          toByteOffset: 4 * plane,
          as: UInt32.self
        )
        end += length
      }
      return end
    }
  }

  /// The least of 1, 2, 4 and 8 bytes that the chunk is a repetition of.
  private static func period(of raw: UnsafeRawBufferPointer) -> Int? {
    [1, 2, 4, 8].first { period in
      raw.count >= period && raw.count.isMultiple(of: period)
        && raw.dropFirst(period).elementsEqual(raw.dropLast(period))
    }
  }

  static let scratch = ResourcePool { Scratch() }
}

/// Work memory for one chunk.
final class Scratch {
  let bytes = UnsafeMutableRawBufferPointer.allocate(
    byteCount: ChunkCodec.largestChunk,
    alignment: 64
  )

  deinit {
    bytes.deallocate()
  }
}

extension ChunkEncoding.Filter {
  /// The filter that suits a type.
  init(for dtype: DType) {
    self =
      switch dtype {
      case .bf16, .f16: .float2
      case .f32, .c64: .float4
      case .f64: .float8
      case .f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ: .float1
      case .i16, .u16: .bytes2
      case .i32, .u32: .bytes4
      case .i64, .u64: .bytes8
      default: .none
      }
  }
}
