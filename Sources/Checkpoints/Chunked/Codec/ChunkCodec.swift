import CKernels
import KaratBytes
package import KaratTensors

/// Stores chunks of at most 1 MiB of one tensor in fewer bytes, without loss.
///
/// The same bytes of the same type give the same stored bytes on any processor and for any number
/// of threads, under one version of the Zstandard library. Any thread may call; work memory, about
/// 2 MiB for a thread, is kept for the next call.
package enum ChunkCodec {
  /// The most bytes of a chunk.
  package static let largestChunk = 1 << 20

  /// Below this, what compression saves is not worth a frame.
  private static let leastCompressed = 256

  /// Encodes a chunk.
  ///
  /// - Parameters:
  ///   - raw: the chunk, at most `largestChunk` bytes.
  ///   - dtype: what the bytes are; a chunk may begin or end within an element or a block of it.
  ///   - target: where the stored bytes go: at least as long as the chunk, which they never exceed.
  /// - Returns: how it was stored, and in how many bytes.
  package static func encode(
    _ raw: UnsafeRawBufferPointer,
    of dtype: DType,
    into target: UnsafeMutableRawBufferPointer
  ) -> (encoding: ChunkEncoding, byteCount: Int) {
    precondition(raw.count <= largestChunk && target.count >= raw.count)
    guard let start = raw.baseAddress else { return (ChunkEncoding(.raw), 0) }
    let period = karat_repeated_bytes(start, raw.count)
    if period > 0 {
      target.copyMemory(from: raw.part(..<period))
      return (ChunkEncoding(.fill), period)
    }
    if raw.count >= leastCompressed {
      let room = target.part(..<raw.count)
      let found = workspaces.withResource { compress(raw, of: dtype, into: room, $0) }
      if let found { return found }
    }
    target.copyMemory(from: raw)
    return (ChunkEncoding(.raw), raw.count)
  }

  /// Compresses as the type suggests, or gives nil where that saves too little.
  private static func compress(
    _ raw: UnsafeRawBufferPointer,
    of dtype: DType,
    into target: UnsafeMutableRawBufferPointer,
    _ workspace: ChunkWorkspace
  ) -> (ChunkEncoding, Int)? {
    let filter = workspace.bestFilter(for: raw, of: dtype)
    guard let planes = Planes(filter) else {
      guard let size = workspace.compress(raw, into: target) else { return nil }
      return (ChunkEncoding(.zstd), size)
    }
    let size = raw.count / planes.count
    let split = workspace.planes.part(..<raw.count)
    planes.split(raw, into: split)
    var end = 4 * planes.count
    var isCompressed = false
    for plane in 0..<planes.count {
      let bytes = UnsafeRawBufferPointer(split.part(plane * size..<(plane + 1) * size))
      let room = target.part(end...)
      var length = size
      if let compressed = workspace.compress(bytes, into: room) {
        length = compressed
        isCompressed = true
      } else {
        guard room.count >= size else { return nil }
        room.copyMemory(from: bytes)
      }
      target.storeBytes(of: UInt32(length).littleEndian, toByteOffset: 4 * plane, as: UInt32.self)
      end += length
    }
    return isCompressed ? (ChunkEncoding(.planes, filter), end) : nil
  }

  static let workspaces = ResourcePool { ChunkWorkspace() }
}
