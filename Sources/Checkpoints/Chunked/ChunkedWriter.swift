package import KaratBytes
public import KaratTensors

/// Writes tensors into a KCF file, Karat's chunked checkpoint format; see `formats/kcf.md`.
///
/// Tensors of any size pass in pieces; memory stays below 100 MB besides the index, unless a source
/// can only compute tensors whole. The file appears whole or not at all, and the same content always
/// gives the same bytes. A run that was killed is taken up by the next one for the same path.
public struct ChunkedWriter: Sendable {
  /// A checkpoint that chunks are stored as differences from, where that is smaller.
  public struct Base: Sendable {
    /// Its tensors.
    public let source: any TensorSource
    /// Where a reader finds it, relative to the folder of the file that is written.
    public let path: String

    /// Names a base.
    public init(_ source: any TensorSource, at path: String) {
      self.source = source
      self.path = path
    }
  }

  /// Whether a file that is there may be replaced.
  public var isReplacing: Bool
  /// Whether every chunk is decoded again and compared before it is written.
  public var isVerifying: Bool
  /// On how many threads chunks are encoded.
  public var threads: Int
  /// Called with the number of bytes of each chunk that was encoded.
  public var onProgress: (@Sendable (Int) -> Void)?
  /// What makes the calls to the system.
  package var fileSystem: any FileSystem = .real

  /// Makes a writer.
  ///
  /// - Parameters:
  ///   - isReplacing: whether a file that is there may be replaced.
  ///   - isVerifying: whether every chunk is decoded again and compared before it is written.
  ///   - threads: on how many threads chunks are encoded; nil for one on each core.
  ///   - onProgress: called with the number of bytes of each chunk that was encoded.
  public init(
    replacing isReplacing: Bool = false,
    verifying isVerifying: Bool = true,
    threads: Int? = nil,
    onProgress: (@Sendable (Int) -> Void)? = nil
  ) {
    self.isReplacing = isReplacing
    self.isVerifying = isVerifying
    self.threads = max(threads ?? ChunkedFormat.threads, 1)
    self.onProgress = onProgress
  }

  /// Writes all tensors of a source, its text metadata, and attachments into a new file.
  ///
  /// - Parameters:
  ///   - source: what is written.
  ///   - attachments: files that travel along, by their paths in the model's folder.
  ///   - base: what chunks may be stored as differences from.
  ///   - path: where the file is to appear.
  /// - Throws: `CheckpointError` where the target exists and may not be replaced, the disk is full
  ///   or fails, a tensor cannot be had, or the format cannot hold something; no file is left then.
  public func write(
    _ source: some TensorSource,
    attachments: [String: [UInt8]] = [:],
    base: Base? = nil,
    to path: String
  ) throws(CheckpointError) {
    let plan = try ChunkedPlan(
      adding: source,
      attachments,
      to: nil,
      base: try base.map(described),
      file: path,
      differences: base.map { DifferenceBase($0.source) }
    )
    // Whatever cannot be written is refused before anything is.
    _ = try plan.texts.encoded(file: path)
    let output = try CheckpointError.onFiles { () throws(FileError) in
      try ResumableFile(path, replacing: isReplacing, on: fileSystem)
    }
    do throws(CheckpointError) {
      try fill(output.file, plan, source)
    } catch {
      output.discard()
      throw error
    }
    do throws(FileError) {
      try output.commit()
    } catch {
      throw CheckpointError(error)
    }
  }

  /// Writes the first generation into a hidden file, with what an interrupted run left in it.
  private func fill(
    _ file: WritableFile,
    _ plan: ChunkedPlan,
    _ source: any TensorSource
  ) throws(CheckpointError) {
    var base: ChunkedBaseReader?
    if let named = plan.texts.base, let differences = plan.differences {
      base = try ChunkedBaseReader(named, of: file.path, source: differences.source)
    }
    let left = try LeftRecords(in: try CheckpointFile(file), base: base)
    try CheckpointError.onFiles { () throws(FileError) in
      if left == nil { try file.truncate(to: 0) }
      try write(ChunkedHead.bytes, to: file, at: 0)
    }
    var writer = recordWriter(
      to: file,
      from: ChunkedHead.byteCount,
      plan,
      pulling: source,
      left: left
    )
    let generation = try plan.finish(try writer.write(plan.streams), end: writer.end)
    try CheckpointError.onFiles { () throws(FileError) in
      try write(generation.index, to: file, at: writer.end)
      try write(generation.trailer.bytes, to: file, at: generation.trailer.offset)
    }
  }

  func recordWriter(
    to file: WritableFile,
    from end: Int,
    _ plan: ChunkedPlan,
    pulling source: any TensorSource,
    left: LeftRecords? = nil
  ) -> ChunkRecordWriter {
    ChunkRecordWriter(
      to: file,
      from: end,
      pulling: source,
      encoder: ChunkEncoder(base: plan.differences, isVerifying: isVerifying),
      known: plan.known,
      left: left,
      threads: threads,
      onProgress: onProgress
    )
  }

  func write(_ bytes: [UInt8], to file: WritableFile, at offset: Int) throws(FileError) {
    try bytes.span.withUnsafeBytes { bytes throws(FileError) in try file.write(bytes, at: offset) }
  }

  /// What an index says of a base.
  private func described(_ base: Base) throws(CheckpointError) -> ChunkedBase {
    func unsupported(_ message: String) -> CheckpointError {
      CheckpointError(.unsupported, file: base.path, message)
    }
    if let objection = ChunkedBase.objection(to: base.path) {
      throw unsupported("it cannot be the path of a base: \(objection)")
    }
    guard let reader = base.source as? ChunkedReader else {
      let root = try ContentRoot.of(base.source, threads: threads)
      return ChunkedBase(root: root, path: base.path, depth: 1)
    }
    let depth = (reader.base?.depth ?? 0) + 1
    guard depth <= ChunkedFormat.deepestBase else {
      throw unsupported(
        "\(depth - 1) bases stand behind it; at most \(ChunkedFormat.deepestBase) may stand one"
          + " behind the other. Write it anew without a base."
      )
    }
    return ChunkedBase(root: reader.modelRoot, path: base.path, depth: depth)
  }
}
