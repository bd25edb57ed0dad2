import Synchronization

/// The last few chunks that were decoded for a part of them alone.
///
/// Who pulls a tensor run by run needs the chunk between two runs twice.
final class RecentChunks: Sendable {
  private let chunks: Mutex<[(offset: Int, bytes: [UInt8])]> = Mutex([])
  /// Chunks that are kept, of 1 MiB at most: one for each of some threads.
  private static let limit = 8

  /// The chunk whose record is at an offset, or nil where it is not among them.
  func chunk(at offset: Int) -> [UInt8]? {
    chunks.withLock { chunks in chunks.first { $0.offset == offset }?.bytes }
  }

  /// Keeps a chunk, and forgets the oldest.
  func keep(_ bytes: [UInt8], at offset: Int) {
    chunks.withLock { chunks in
      guard !chunks.contains(where: { $0.offset == offset }) else { return }
      if chunks.count == Self.limit { chunks.removeFirst() }
      chunks.append((offset, bytes))
    }
  }
}
