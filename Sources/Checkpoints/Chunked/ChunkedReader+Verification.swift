public import KaratBytes
public import KaratTensors
import Synchronization

extension ChunkedReader {
  /// Reads and checks every chunk of the tensors, once each, and gives the root that they have.
  ///
  /// It costs half of `ContentRoot.of` a reader, which digests what the reader has digested already.
  ///
  /// - Parameter progress: hears how many bytes of tensors are done, on any thread.
  /// - Returns: the root.
  /// - Throws: `CheckpointError` for the first chunk that is damaged, or where its base is not there.
  public func verifiedRoot(
    progress: ProgressReporter = .silent
  ) throws(CheckpointError) -> SHA256Digest {
    var chunks: [(entry: Int, owner: ChunkedIndex.Owner)] = []
    var records: Set<Int> = []
    var total = 0
    try index.forEachChunk { number, owner, byteCount throws(CheckpointError) in
      guard owner.tensor != nil, records.insert(try entry(number).offset).inserted else { return }
      chunks.append((number, owner))
      total += byteCount
    }
    try check(chunks, of: total, progress)
    return modelRoot
  }

  /// Reads and checks every byte of the file, those of earlier generations too.
  ///
  /// What passes is free of damage: a single wrong bit anywhere is found.
  ///
  /// - Parameter progress: hears how many bytes of the file are done.
  /// - Throws: `CheckpointError` for the first fault, or where bytes follow the last commit.
  public func verify(progress: ProgressReporter = .silent) throws(CheckpointError) {
    guard uncommittedByteCount == 0 else {
      throw CheckpointError(
        .malformed,
        file: file.path,
        "\(uncommittedByteCount) bytes behind the last commit belong to nothing. An append was"
          + " interrupted; the next one cuts them off."
      )
    }
    let opener = ChunkedOpener(file: file)
    var trailers = [index.trailer]
    while let last = trailers.last, let previous = try opener.trailer(before: last) {
      trailers.append(previous)
    }
    var records: Set<Int> = []
    for trailer in trailers.reversed() {
      let generation =
        trailer == index.trailer ? self : try reader(of: try opener.index(at: trailer))
      try generation.verifyRecords(among: &records)
      try generation.verifyAttachments()
      let end = trailer.offset + ChunkedTrailer.byteCount
      progress.report("verify", end, of: file.byteCount, "bytes")
    }
  }

  /// A reader of another generation of the same file.
  private func reader(of generation: ChunkedIndex) throws(CheckpointError) -> ChunkedReader {
    let isSameBase = generation.base == base
    var reader = try ChunkedReader(file, head, generation, base: nil)
    if isSameBase { reader.records = records }
    reader.threads = threads
    return reader
  }

  /// Digests each attachment, a chunk in memory at a time.
  private func verifyAttachments() throws(CheckpointError) {
    for (number, attachment) in attachments.enumerated() {
      var digest = SHA256Digest.Accumulator()
      for number in index.entries(ofAttachment: number) {
        let entry = try entry(number)
        try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
          let chunk = memory.bytes.part(..<entry.byteCount)
          try records.read(entry, of: .attachment(attachment.name), into: chunk)
          digest.append(UnsafeRawBufferPointer(chunk))
        }
      }
      try check(digest.digest, of: attachment)
    }
  }

  /// Decodes each of the generation's own records once, and looks for the others among those of the
  /// generations before.
  private func verifyRecords(among records: inout Set<Int>) throws(CheckpointError) {
    let section = index.trailer.sectionStart
    var own: [(entry: Int, owner: ChunkedIndex.Owner)] = []
    try index.forEachChunk { number, owner, _ throws(CheckpointError) in
      let entry = try entry(number)
      if entry.offset >= section {
        if records.insert(entry.offset).inserted { own.append((number, owner)) }
        return
      }
      let isThere = records.contains(entry.offset)
      guard isThere, try self.records.isHeader(of: entry) else {
        throw CheckpointError(
          .malformed,
          file: file.path,
          tensor: owner.tensor,
          "\(owner.prefix)chunk entry \(number): the record at byte \(entry.offset) is not what it"
            + " says."
        )
      }
    }
    try check(own, of: 0, .silent)
  }

  /// Decodes and checks some chunks on all threads.
  private func check(
    _ chunks: [(entry: Int, owner: ChunkedIndex.Owner)],
    of total: Int,
    _ progress: ProgressReporter
  ) throws(CheckpointError) {
    let done = Atomic(0)
    try concurrently(chunks.count, threads: threads) { task throws(CheckpointError) in
      let entry = try entry(chunks[task].entry)
      try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
        let chunk = memory.bytes.part(..<entry.byteCount)
        try records.read(entry, of: chunks[task].owner, into: chunk)
      }
      let count = done.add(entry.byteCount, ordering: .relaxed).newValue
      progress.report("digest", count, of: total, "bytes")
    }
  }
}
