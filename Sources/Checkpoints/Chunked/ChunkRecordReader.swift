import KaratBytes
import KaratTensors

/// Reads records of a KCF, and checks everything that section 3 of `formats/kcf.md` demands.
struct ChunkRecordReader: Sendable {
  let file: CheckpointFile
  /// Gives the bytes that a difference is from.
  let base: ChunkedBaseReader?

  /// Work memory for a record, or for a chunk.
  final class Memory {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: ChunkEntry.byteCount + ChunkedFormat.chunkSize + ChunkedFormat.alignment,
      alignment: 64
    )

    deinit {
      bytes.deallocate()
    }
  }

  static let chunkMemory = ResourcePool { Memory() }

  /// Reads, checks and decodes a chunk.
  ///
  /// - Parameters:
  ///   - entry: the checked entry of the chunk, whose record is known to be in the file.
  ///   - owner: what messages name.
  ///   - chunk: where the bytes go; as many as the entry says.
  /// - Throws: `CheckpointError` where a byte is wrong, or the base is not there.
  func read(
    _ entry: ChunkEntry,
    of owner: ChunkedIndex.Owner,
    into chunk: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    try Self.chunkMemory.withResource { memory throws(CheckpointError) in
      let stored = try stored(entry, of: owner, in: memory)
      do throws(ChunkFault) {
        try ChunkCodec.decode(stored, as: entry.encoding, into: chunk)
      } catch {
        throw damaged(entry, owner, "\(error).")
      }
    }
    if let place = entry.base { try add(place, entry, owner, to: chunk) }
    let digest = ContentRoot.leaf(UnsafeRawBufferPointer(chunk))
    guard digest == entry.digest else {
      throw damaged(
        entry,
        owner,
        "its bytes have the digest \(digest); the index says \(entry.digest)."
          + (entry.base == nil ? "" : " The base is another one, or one of the two is damaged.")
      )
    }
  }

  /// Whether the header of a record is what an entry says.
  func isHeader(of entry: ChunkEntry) throws(CheckpointError) -> Bool {
    let header = try file.bytes(entry.offset..<entry.offset + ChunkEntry.byteCount)
    return header.starts(with: ChunkEntry.mark) && header[8...].elementsEqual(entry.description)
  }

  /// Reads the stored bytes, and checks header, checksum and padding.
  private func stored(
    _ entry: ChunkEntry,
    of owner: ChunkedIndex.Owner,
    in memory: Memory
  ) throws(CheckpointError) -> UnsafeRawBufferPointer {
    let record = memory.bytes.part(..<entry.recordByteCount)
    try file.read(into: record, at: entry.offset)
    let end = ChunkEntry.byteCount + entry.storedByteCount
    let stored = UnsafeRawBufferPointer(record.part(ChunkEntry.byteCount..<end))
    guard record[8..<ChunkEntry.byteCount].elementsEqual(entry.description),
      record.starts(with: ChunkEntry.mark)
    else {
      throw damaged(entry, owner, "the header of its record is not what the index says.")
    }
    let checksum = UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard checksum == CRC32C.checksum(UnsafeRawBufferPointer(record.part(8..<end))) else {
      throw damaged(entry, owner, "the checksum of its stored bytes is wrong.")
    }
    guard ChunkedFormat.isZero(UnsafeRawBufferPointer(record.part(end...))) else {
      throw damaged(entry, owner, "the padding behind it is not zero.")
    }
    return stored
  }

  /// Turns a difference from the base into the chunk.
  private func add(
    _ place: ChunkEntry.Base,
    _ entry: ChunkEntry,
    _ owner: ChunkedIndex.Owner,
    to chunk: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    guard let base else { throw damaged(entry, owner, "the index names no base.") }
    try base.withChunk(place, byteCount: chunk.count, of: owner) { bytes in
      exclusiveOr(chunk, with: bytes)
    }
  }

  private func damaged(
    _ entry: ChunkEntry,
    _ owner: ChunkedIndex.Owner,
    _ message: String
  ) -> CheckpointError {
    CheckpointError(
      .malformed,
      file: file.path,
      tensor: owner.tensor,
      "\(owner.prefix)the chunk of \(entry.byteCount) bytes at byte \(entry.offset): \(message)"
    )
  }
}

extension TensorSource {
  /// Lends a range of a tensor's bytes, which may cut elements and blocks.
  func withBytes<R>(
    _ range: Range<Int>,
    of name: TensorName,
    _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> R
  ) throws(CheckpointError) -> R {
    guard let info = manifest[name] else { throw .missing(name, in: "the source") }
    let block = info.dtype.block
    let first = range.lowerBound / block.bytes
    let end = (range.upperBound + block.bytes - 1) / block.bytes
    let tensor = try elements(first * block.elements..<end * block.elements, of: name)
    return try tensor.withBytes { bytes throws(CheckpointError) in
      let start = range.lowerBound - first * block.bytes
      guard tensor.dtype == info.dtype, bytes.count >= start + range.count else {
        throw CheckpointError(
          .malformed,
          tensor: name,
          "what came is not of the type or size that was promised."
        )
      }
      return try body(bytes.part(start..<start + range.count))
    }
  }
}
