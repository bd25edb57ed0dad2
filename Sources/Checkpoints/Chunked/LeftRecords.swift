import KaratBytes
import KaratTensors

/// The records that an interrupted run left in a file.
struct LeftRecords: Sendable {
  private let entries: [SHA256Digest: ChunkEntry]
  private let reader: ChunkRecordReader

  /// Reads the headers of all records behind the head, up to the first that is none.
  ///
  /// - Returns: nil where the file does not start with our head.
  init?(
    in file: CheckpointFile,
    base: ChunkedBaseReader?
  ) throws(CheckpointError) {
    let start = try file.bytes(0..<min(file.byteCount, ChunkedHead.byteCount))
    guard start == ChunkedHead.bytes else { return nil }
    var entries: [SHA256Digest: ChunkEntry] = [:]
    var offset = ChunkedHead.byteCount
    while file.byteCount - offset >= ChunkEntry.byteCount {
      let header = try file.bytes(offset..<offset + ChunkEntry.byteCount)
      guard header.starts(with: ChunkEntry.mark),
        let entry = header.withUnsafeBytes({ try? ChunkEntry($0, at: offset) }),
        entry.recordByteCount <= file.byteCount - offset
      else { break }
      entries[entry.digest] = entries[entry.digest] ?? entry
      offset = entry.end
    }
    self.entries = entries
    reader = ChunkRecordReader(file: file, base: base)
  }

  /// The entry of a chunk whose record is whole and decodes to it, or nil where there is none.
  func entry(of digest: SHA256Digest) -> ChunkEntry? {
    guard let entry = entries[digest] else { return nil }
    return ChunkRecordReader.chunkMemory.withResource { memory in
      let chunk = memory.bytes.part(..<entry.byteCount)
      let owner = ChunkedIndex.Owner.attachment("")
      do throws(CheckpointError) {
        try reader.read(entry, of: owner, into: chunk)
        return entry
      } catch {
        return nil
      }
    }
  }
}
