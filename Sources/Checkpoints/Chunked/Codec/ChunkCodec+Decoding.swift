import KaratBytes

extension ChunkCodec {
  /// Decodes a chunk.
  ///
  /// Whatever the stored bytes are, it writes within `raw` alone. Whether that is what went in, the
  /// chunk's digest must tell.
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
    let fault = ChunkFault.storedLength(stored.count, raw: raw.count, encoding)
    guard stored.count <= raw.count else { throw fault }
    switch (encoding.codec, Planes(encoding.filter)) {
    case (.raw, nil):
      guard stored.count == raw.count else { throw fault }
      raw.copyMemory(from: stored)
    case (.fill, nil):
      guard [1, 2, 4, 8].contains(stored.count), raw.count.isMultiple(of: stored.count) else {
        throw fault
      }
      raw.fill(with: stored)
    case (.zstd, nil):
      try decompress(stored, into: raw)
    case (.planes, let planes?):
      guard let size = planes.size(ofChunk: raw.count) else {
        throw .elements(raw: raw.count, width: planes.count)
      }
      guard let runs = try runs(of: planes, size: size, in: stored) else { throw fault }
      try workspaces.withResource { workspace throws(ChunkFault) in
        var bytes: [UnsafePointer<UInt8>] = []
        for (plane, run) in runs.enumerated() {
          var content = stored.part(run)
          if run.count < size {
            let target = workspace.planes.part(plane * size..<(plane + 1) * size)
            try decompress(content, into: target)
            content = UnsafeRawBufferPointer(target)
          }
          guard let start = content.baseAddress else { throw fault }
          bytes.append(start.assumingMemoryBound(to: UInt8.self))
        }
        planes.merge(bytes, into: raw)
      }
    default:
      throw .encoding(encoding)
    }
  }

  /// Where each plane lies in the stored bytes, or nil where they are too few or too many.
  private static func runs(
    of planes: Planes,
    size: Int,
    in stored: UnsafeRawBufferPointer
  ) throws(ChunkFault) -> [Range<Int>]? {
    var end = 4 * planes.count
    guard stored.count >= end else { return nil }
    var runs: [Range<Int>] = []
    for plane in 0..<planes.count {
      let length = stored.loadUnaligned(fromByteOffset: 4 * plane, as: UInt32.self).littleEndian
      guard length >= 1, length <= size else {
        throw .planeLength(length, plane: plane, size: size)
      }
      runs.append(end..<end + Int(length))
      end += Int(length)
    }
    return end == stored.count ? runs : nil
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

extension UnsafeMutableRawBufferPointer {
  /// Repeats an element, of which this buffer is a multiple.
  fileprivate func fill(with element: UnsafeRawBufferPointer) {
    var filled = element.count
    copyMemory(from: element)
    while filled < count {
      let next = Swift.min(filled, count - filled)
      part(filled..<filled + next).copyMemory(from: UnsafeRawBufferPointer(part(..<next)))
      filled += next
    }
  }
}
