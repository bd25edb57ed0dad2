import KaratBytes

extension ChunkCodec {
  /// Decodes a chunk.
  ///
  /// What comes out is bounded by `raw`, whatever the stored bytes are; whether it is what went in,
  /// the chunk's digest must tell.
  ///
  /// - Parameters:
  ///   - stored: the stored bytes.
  ///   - encoding: how they were stored.
  ///   - raw: where the chunk goes; as long as the chunk.
  /// - Throws: `ChunkFault` where the stored bytes cannot be such a chunk; `raw` holds anything then.
  package static func decode(
    _ stored: UnsafeRawBufferPointer,
    as encoding: ChunkEncoding,
    into raw: UnsafeMutableRawBufferPointer
  ) throws(ChunkFault) {
    guard raw.count <= largestChunk else { throw .length(raw.count) }
    guard stored.count <= raw.count else {
      throw .storedLength(stored.count, raw: raw.count, encoding)
    }
    switch (encoding.codec, Planes(encoding.filter)) {
    case (.raw, nil):
      guard stored.count == raw.count else {
        throw .storedLength(stored.count, raw: raw.count, encoding)
      }
      raw.copyMemory(from: stored)
    case (.fill, nil):
      guard [1, 2, 4, 8].contains(stored.count), raw.count.isMultiple(of: stored.count) else {
        throw .storedLength(stored.count, raw: raw.count, encoding)
      }
      for start in stride(from: 0, to: raw.count, by: stored.count) {
        UnsafeMutableRawBufferPointer(rebasing: raw[start...]).copyMemory(from: stored)
      }
    case (.zstd, nil):
      try decompress(stored, into: raw)
    case (.planes, let planes?):
      try decode(stored, planes, encoding, into: raw)
    default:
      throw .encoding(encoding)
    }
  }

  private static func decode(
    _ stored: UnsafeRawBufferPointer,
    _ planes: Planes,
    _ encoding: ChunkEncoding,
    into raw: UnsafeMutableRawBufferPointer
  ) throws(ChunkFault) {
    guard let size = planes.size(ofChunk: raw.count) else {
      throw .elements(raw: raw.count, width: planes.count)
    }
    var end = 4 * planes.count
    guard stored.count >= end else {
      throw .storedLength(stored.count, raw: raw.count, encoding)
    }
    var runs: [Range<Int>] = []
    for plane in 0..<planes.count {
      let length = UInt32(
        littleEndian: stored.loadUnaligned(fromByteOffset: 4 * plane, as: UInt32.self)
      )
      guard length >= 1, length <= size else {
        throw .planeLength(length, plane: plane, size: size)
      }
      runs.append(end..<end + Int(length))
      end += Int(length)
    }
    guard end == stored.count else {
      throw .storedLength(stored.count, raw: raw.count, encoding)
    }
    try scratch.withResource { scratch throws(ChunkFault) in
      var pointers: [UnsafeRawPointer] = []
      for (plane, run) in runs.enumerated() {
        var bytes = UnsafeRawBufferPointer(rebasing: stored[run])
        if run.count < size {
          let target = UnsafeMutableRawBufferPointer(
            rebasing: scratch.bytes[plane * size..<(plane + 1) * size]
          )
          try decompress(bytes, into: target)
          bytes = UnsafeRawBufferPointer(target)
        }
        if let start = bytes.baseAddress { pointers.append(start) }
      }
      planes.merge(pointers, into: raw)
    }
  }

  private static func decompress(
    _ frame: UnsafeRawBufferPointer,
    into target: UnsafeMutableRawBufferPointer
  ) throws(ChunkFault) {
    do {
      try Zstandard.decompress(frame, into: target)
    } catch {
      throw .zstandard(error)
    }
  }
}
