public import KaratBytes
public import KaratTensors

/// The tensors of a KCF file, Karat's chunked checkpoint format; see `formats/kcf.md`.
///
/// To open one is to read its index. A tensor, or a run of its elements, is decoded from the chunks
/// that it needs, on all cores, and every chunk is checked before and after.
public struct ChunkedReader: TensorSource {
  /// What is done with a file that does not end with a commit.
  public enum Recovery: Sendable, Hashable {
    /// It is refused.
    case refused
    /// The last commit that is whole is read, as it is after an append that a crash interrupted.
    case lastCommit
  }

  /// Names, types and shapes in the order of the source that was written, and text.
  public var manifest: Manifest { index.manifest }
  /// The root over names, types, shapes and bytes of all tensors: the same in any format.
  public var modelRoot: SHA256Digest { SHA256Digest(bytes: index.trailer.root) }
  /// How many times the file was committed.
  public var generation: Int { index.trailer.generation }
  /// The files that travel with the tensors, sorted by the bytes of their names.
  public var attachments: [ChunkedAttachment] { index.attachments }
  /// What chunks are stored as differences from, or nil where there is no base.
  public var base: ChunkedBase? { index.base }
  /// How many bytes behind the last commit are not read; 0 but after a recovery.
  public var uncommittedByteCount: Int {
    file.byteCount - index.trailer.offset - ChunkedTrailer.byteCount
  }
  /// On how many threads a tensor is decoded.
  public var threads = ChunkedFormat.threads

  let file: CheckpointFile
  let index: ChunkedIndex
  let head: ChunkedHead
  var records: ChunkRecordReader
  private let recent = RecentChunks()

  /// Opens a file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - access: whether bytes are copied out of the file or lie in mapped memory.
  ///   - base: what chunks are differences from; nil where the file's own word for it is good.
  ///   - recovery: what is done where the file does not end with a commit.
  /// - Throws: `CheckpointError` where the file cannot be read or breaks a rule of the format.
  public init(
    _ path: String,
    access: FileAccess = .copied,
    base: (any TensorSource)? = nil,
    recovery: Recovery = .refused
  ) throws(CheckpointError) {
    try self.init(try CheckpointFile(path, access: access), base: base, recovery: recovery)
  }

  /// Reads head, last trailer and index of a file that is open already.
  package init(
    _ file: CheckpointFile,
    base: (any TensorSource)? = nil,
    recovery: Recovery = .refused
  ) throws(CheckpointError) {
    let opener = ChunkedOpener(file: file)
    let head = try opener.head()
    let index = try opener.index(at: try opener.lastTrailer(recovery))
    try self.init(file, head, index, base: base)
  }

  init(
    _ file: CheckpointFile,
    _ head: ChunkedHead,
    _ index: ChunkedIndex,
    base: (any TensorSource)?
  ) throws(CheckpointError) {
    self.file = file
    self.head = head
    self.index = index
    var baseReader: ChunkedBaseReader?
    if let named = index.base {
      baseReader = try ChunkedBaseReader(named, of: file.path, source: base)
    }
    records = ChunkRecordReader(file: file, base: baseReader)
  }

  /// Decodes a tensor.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, a byte of it is wrong, or its base
  ///   is not there.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: file.path) }
    return try bytes(0..<(info.byteCount ?? 0), of: name, as: info)
  }

  /// Every tensor is, in chunks of 1 MiB.
  public func isDivisible(_ name: TensorName) -> Bool { true }

  /// Decodes a run of a tensor's elements, from the chunks that hold them.
  ///
  /// - Throws: `CheckpointError` as `tensor(_:)` does.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: file.path) }
    let run = TensorInfo(info.dtype, [range.count])
    let start = info.byteOffset(ofElement: range.lowerBound)
    return try bytes(start..<start + (run.byteCount ?? 0), of: name, as: run)
  }

  private func bytes(
    _ range: Range<Int>,
    of name: TensorName,
    as info: TensorInfo
  ) throws(CheckpointError) -> Tensor {
    guard let entries = index.entries(of: name) else { throw .missing(name, in: file.path) }
    try file.checkMemory(for: range.count, of: name)
    return try Tensor(info.dtype, info.shape) { buffer throws(CheckpointError) in
      try decode(range, of: .tensor(name), entries, into: buffer)
    }
  }

  /// Decodes an attachment.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or a byte of it is wrong.
  public func attachment(_ name: String) throws(CheckpointError) -> [UInt8] {
    guard let number = attachments.firstIndex(where: { UTF8Key($0.name) == UTF8Key(name) }) else {
      throw CheckpointError(
        .missing,
        file: file.path,
        "there is no attachment \(TensorName(name).quoted)."
      )
    }
    let attachment = attachments[number]
    let tensor = try Tensor(.u8, [attachment.byteCount]) { buffer throws(CheckpointError) in
      let entries = index.entries(ofAttachment: number)
      try decode(0..<buffer.count, of: .attachment(name), entries, into: buffer)
    }
    var digest = SHA256Digest.Accumulator()
    tensor.withBytes { digest.append($0) }
    try check(digest.digest, of: attachment)
    return tensor.withBytes { Array($0) }
  }

  /// Checks the digest of an attachment's bytes.
  func check(
    _ digest: SHA256Digest,
    of attachment: ChunkedAttachment
  ) throws(CheckpointError) {
    guard digest != attachment.digest else { return }
    throw CheckpointError(
      .malformed,
      file: file.path,
      "the attachment \(TensorName(attachment.name).quoted): its bytes have the digest \(digest);"
        + " the index says \(attachment.digest)."
    )
  }

  /// Decodes a range of the bytes that entries hold together.
  private func decode(
    _ range: Range<Int>,
    of owner: ChunkedIndex.Owner,
    _ entries: Range<Int>,
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    guard !range.isEmpty else { return }
    let size = ChunkedFormat.chunkSize
    let chunks = range.lowerBound / size..<(range.upperBound - 1) / size + 1
    // Each call writes a part of its own.
    nonisolated(unsafe) let buffer = buffer
    try concurrently(chunks.count, threads: threads) { task throws(CheckpointError) in
      let chunk = chunks.lowerBound + task
      let entry = try entry(entries.lowerBound + chunk)
      let whole = chunk * size..<chunk * size + entry.byteCount
      let part = whole.clamped(to: range)
      let target = UnsafeMutableRawBufferPointer(
        rebasing: buffer[part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound]
      )
      if part == whole {
        try records.read(entry, of: owner, into: target)
      } else {
        let start = part.lowerBound - whole.lowerBound
        try decoded(entry, of: owner).withUnsafeBytes { chunk in
          target.copyMemory(from: chunk.part(start..<start + part.count))
        }
      }
    }
  }

  /// A chunk of which a part is wanted.
  private func decoded(
    _ entry: ChunkEntry,
    of owner: ChunkedIndex.Owner
  ) throws(CheckpointError) -> [UInt8] {
    if let chunk = recent.chunk(at: entry.offset) { return chunk }
    let chunk = try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
      let chunk = memory.bytes.part(..<entry.byteCount)
      try records.read(entry, of: owner, into: chunk)
      return Array(chunk)
    }
    recent.keep(chunk, at: entry.offset)
    return chunk
  }

  /// An entry by its number; it was checked when the index was read.
  func entry(_ number: Int) throws(CheckpointError) -> ChunkEntry {
    do throws(ChunkEntry.Fault) {
      return try index.entry(number)
    } catch {
      throw CheckpointError(.malformed, file: file.path, error.message)
    }
  }
}
