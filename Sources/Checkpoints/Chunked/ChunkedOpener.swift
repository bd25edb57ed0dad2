import KaratBytes
import KaratTensors

/// Finds and reads head, trailers and indexes of a KCF file.
struct ChunkedOpener {
  let file: CheckpointFile

  /// Reads and checks the head.
  func head() throws(CheckpointError) -> ChunkedHead {
    let start = try file.bytes(0..<min(file.byteCount, ChunkedHead.byteCount))
    guard start.starts(with: ChunkedHead.mark) else {
      throw malformed("it does not start with the mark of KCF.")
    }
    guard start.count == ChunkedHead.byteCount else {
      throw malformed(
        "it holds \(file.byteCount) bytes; the head alone takes \(ChunkedHead.byteCount). It was cut"
          + " off; fetch it again."
      )
    }
    return try ChunkedHead(start, of: file.path)
  }

  /// Finds the trailer that counts.
  func lastTrailer(_ recovery: ChunkedReader.Recovery) throws(CheckpointError) -> ChunkedTrailer {
    let offset = file.byteCount - ChunkedTrailer.byteCount
    let isPlace = offset >= ChunkedHead.byteCount && offset % ChunkedFormat.alignment == 0
    if recovery == .refused, isPlace {
      let bytes = try file.bytes(offset..<file.byteCount)
      if ChunkedTrailer.isPlausible(bytes[...], at: offset) {
        return try ChunkedTrailer(bytes, at: offset, of: file.path)
      }
    }
    let last = try lastCommit()
    guard let last else {
      throw malformed(
        "it holds no commit that is whole. It was cut off or is damaged; fetch or convert it again."
      )
    }
    guard recovery == .lastCommit else {
      let end = last.offset + ChunkedTrailer.byteCount
      throw malformed(
        "it does not end with a commit: the last one, generation \(last.generation), ends at byte"
          + " \(end), and \(file.byteCount - end) bytes follow. An append was interrupted, or the file"
          + " is damaged; recovery reads generation \(last.generation)."
      )
    }
    return last
  }

  /// Reads and checks the index of a trailer.
  func index(at trailer: ChunkedTrailer) throws(CheckpointError) -> ChunkedIndex {
    let bytes = try file.bytes(trailer.indexRange)
    guard Self.digest(bytes) == trailer.indexDigest else {
      throw malformed(
        "the index at byte \(trailer.indexRange.lowerBound) does not have the digest that its"
          + " trailer says. The file is damaged; fetch it again."
      )
    }
    let index = try ChunkedIndexParser.parse(bytes, trailer, of: file.path)
    let root = index.root()
    guard root.bytes == trailer.root else {
      throw malformed(
        "the model root is \(root) by the index, and \(SHA256Digest(bytes: trailer.root)) by the"
          + " trailer."
      )
    }
    return index
  }

  /// The trailer before another.
  func trailer(before trailer: ChunkedTrailer) throws(CheckpointError) -> ChunkedTrailer? {
    guard let offset = trailer.previous else { return nil }
    let bytes = try file.bytes(offset..<offset + ChunkedTrailer.byteCount)
    let previous = try ChunkedTrailer(bytes, at: offset, of: file.path)
    guard previous.generation == trailer.generation - 1 else {
      throw malformed(
        "the trailer at byte \(offset) is of generation \(previous.generation); the one after it, of"
          + " \(trailer.generation)."
      )
    }
    return previous
  }

  /// Looks backwards for a trailer whose index has the digest that it says.
  ///
  /// What looks like a trailer and is none does not come about by chance: after a few of them the
  /// search ends, so that a file made of them costs no more than any other.
  private func lastCommit() throws(CheckpointError) -> ChunkedTrailer? {
    let window = 1 << 20
    var candidates = 8
    let least = ChunkedHead.byteCount
    var end = file.byteCount
    while end > least {
      let start = max(end - window, least) & ~(ChunkedFormat.alignment - 1)
      // A trailer that begins in the window may end behind it.
      let bytes = try file.bytes(start..<min(end + ChunkedTrailer.byteCount, file.byteCount))
      let places = stride(from: start, to: end, by: ChunkedFormat.alignment)
      for offset in places.reversed() where offset + ChunkedTrailer.byteCount <= file.byteCount {
        let range = offset - start..<offset - start + ChunkedTrailer.byteCount
        guard ChunkedTrailer.isPlausible(bytes[range], at: offset) else { continue }
        if let trailer = try? ChunkedTrailer(Array(bytes[range]), at: offset, of: file.path),
          try Self.digest(file.bytes(trailer.indexRange)) == trailer.indexDigest
        {
          return trailer
        }
        candidates -= 1
        guard candidates > 0 else { return nil }
      }
      end = start
    }
    return nil
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] {
    var accumulator = SHA256Digest.Accumulator()
    bytes.withUnsafeBytes { accumulator.append($0) }
    return accumulator.digest.bytes
  }

  func malformed(_ message: String) -> CheckpointError {
    CheckpointError(.malformed, file: file.path, message)
  }
}
