import KaratBytes
import KaratTensors

extension ChunkedIndex {
  /// Checks every entry, and that the generation's own records fill its part of the file.
  func checkEntries(file path: String) throws(CheckpointError) {
    let section = trailer.sectionStart..<trailer.indexRange.lowerBound
    var own: [(offset: Int, entry: Int)] = []
    var isSorted = true
    try forEachChunk { number, owner, byteCount throws(CheckpointError) in
      func malformed(_ message: String) -> CheckpointError {
        CheckpointError(
          .malformed,
          file: path,
          tensor: owner.tensor,
          "\(owner.prefix)chunk entry \(number): \(message)"
        )
      }
      let entry: ChunkEntry
      do throws(ChunkEntry.Fault) {
        entry = try self.entry(number)
      } catch {
        throw malformed(error.message)
      }
      guard entry.byteCount == byteCount else {
        throw malformed("it has \(entry.byteCount) bytes; type and shape need \(byteCount).")
      }
      guard entry.base == nil || base != nil else {
        throw malformed("it is a difference from a base, and the index names none.")
      }
      guard entry.offset % ChunkedFormat.alignment == 0, entry.offset >= ChunkedHead.byteCount,
        entry.offset < section.upperBound
      else {
        throw malformed("its record is to be at byte \(entry.offset), where none can be.")
      }
      // Both are below the file's length by now, or nearly.
      let end =
        entry.offset >= section.lowerBound
        ? section.upperBound : section.lowerBound - ChunkedTrailer.byteCount
      guard entry.end <= end else {
        throw malformed(
          "its record is to end at byte \(entry.end); records of its generation end at \(end)."
        )
      }
      if entry.offset >= section.lowerBound {
        if let last = own.last, last.offset >= entry.offset { isSorted = false }
        own.append((entry.offset, number))
      }
    }
    if !isSorted { own.sort { ($0.offset, $0.entry) < ($1.offset, $1.entry) } }
    try checkRecords(own, fill: section, file: path)
  }

  private func checkRecords(
    _ records: [(offset: Int, entry: Int)],
    fill section: Range<Int>,
    file path: String
  ) throws(CheckpointError) {
    func malformed(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: path, message)
    }
    var end = section.lowerBound
    var last: (offset: Int, entry: Int)?
    for record in records {
      if let last, last.offset == record.offset {
        guard isSame(last.entry, record.entry) else {
          throw malformed(
            "chunk entries \(last.entry) and \(record.entry) differ in what the record at byte"
              + " \(record.offset) is."
          )
        }
        continue
      }
      guard record.offset == end else {
        throw malformed(
          "the record of chunk entry \(record.entry) is at byte \(record.offset); the one before it"
            + " ends at byte \(end). Holes and overlaps are not allowed."
        )
      }
      guard let entry = try? entry(record.entry) else { continue }
      end = entry.end
      last = record
    }
    guard end == section.upperBound else {
      throw malformed(
        "the records of generation \(trailer.generation) end at byte \(end); its index is at byte"
          + " \(section.upperBound). Holes are not allowed."
      )
    }
  }

  private func isSame(_ one: Int, _ other: Int) -> Bool {
    withEntryBytes(one) { left in withEntryBytes(other) { right in left.elementsEqual(right) } }
  }
}
