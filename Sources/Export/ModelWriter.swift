import KaratArchitectures
public import KaratBytes
public import KaratCheckpoints
public import KaratGraphs
public import KaratModels
public import KaratTensors

/// Writes a model in a form that programs load: weights, config, tokenizer, and a record of how it
/// came about.
public struct ModelWriter: Sendable {
  /// The most bytes of tensors in one file, or nil for a single file.
  public var shardSize: Int?
  /// Whether a file, or a folder that Karat wrote before, may be replaced.
  public var isReplacing: Bool
  /// Whether the record holds the SHA-256 of every input and output, which reads them all.
  public var isHashed: Bool
  /// What a KCF may store differences from.
  public var base: ChunkedWriter.Base?
  /// Where the writer says how far it is.
  public var progress: ProgressReporter

  /// Writes a single file, and replaces nothing, unless told otherwise.
  public init(
    shardSize: Int? = nil,
    replacing isReplacing: Bool = false,
    hashed isHashed: Bool = true,
    progress: ProgressReporter = .silent
  ) {
    self.shardSize = shardSize
    self.isReplacing = isReplacing
    self.isHashed = isHashed
    self.progress = progress
  }

  /// Checks that an output may be written, before any work is done for it.
  ///
  /// - Throws: `CheckpointError` where it exists already and may not be replaced.
  public func checkTarget(_ path: String, as form: ModelForm = .folder) throws(CheckpointError) {
    AtomicFolder.clearStrays(of: path)
    let isReplaceable =
      form != .folder || FileStatus.isThere(Folder.join(path, ModelRecord.fileName))
    guard FileStatus.isThere(path), !(isReplacing && isReplaceable) else { return }
    throw CheckpointError(
      .exists,
      file: path,
      isReplacing
        ? "it exists already and holds no \(ModelRecord.fileName), so it is not certain that it "
          + "may go. Choose another name, or remove it yourself."
        : "it exists already. Choose another name, or replace it with --force."
    )
  }

  /// Checks that a model of this config can be written in a form, before any work is done for it.
  ///
  /// - Throws: `ConfigError` where it cannot.
  public func checkForm(_ form: ModelForm, of loaded: LoadedModel) throws {
    guard case .gguf = form else { return }
    _ = try GGUFModelDescription(
      Config(loaded.config, file: loaded.path)
    )
  }

  /// Writes what passes made of a model.
  ///
  /// - Returns: what the reader of the result should know: what a form could not hold.
  /// - Throws: as `write(_:to:as:)` does.
  @discardableResult
  public func write(
    _ model: Model,
    from loaded: LoadedModel,
    record: ModelRecord,
    to path: String,
    as form: ModelForm = .folder
  ) throws -> [String] {
    var config = loaded.config
    config["quantization_config"] = QuantizationConfig(describing: model.graph)?.json
    let content = ModelContent(of: loaded, source: model.source, config: config, record: record)
    return try write(content, to: path, as: form)
  }

  /// Writes a model, which appears whole or not at all.
  ///
  /// - Returns: what the reader of the result should know: what a form could not hold.
  /// - Throws: `CheckpointError` where the target exists, the disk is full or fails, or a tensor
  ///   cannot be had; `TokenizerError` where the tokenizer cannot be written; nothing is left then.
  @discardableResult
  package func write(
    _ content: ModelContent,
    to path: String,
    as form: ModelForm
  ) throws -> [String] {
    let counter = ByteCounter(total: content.source.manifest.totalBytes, progress)
    switch form {
    case .folder: try writeFolder(content, to: path, counter)
    case .safetensors:
      try SafetensorsWriter(
        metadata: content.source.manifest.metadata,
        replacing: isReplacing
      ) { counter.add($0) }
      .write(content.source, to: path)
    case .kcf:
      try ChunkedWriter(replacing: isReplacing) { counter.add($0) }
        .write(content.source, attachments: try attachments(of: content), base: base, to: path)
    case .gguf(let type):
      let export = try GGUFExport(content, type: type)
      try export.write(to: path, replacing: isReplacing, progress: progress)
      return export.notes
    }
    return []
  }

  private func writeFolder(
    _ content: ModelContent,
    to path: String,
    _ counter: ByteCounter
  ) throws {
    let files = try content.files()
    let folder = try CheckpointError.onFiles { () throws(FileError) in
      try AtomicFolder(
        path,
        replacingFolderWith: isReplacing ? ModelRecord.fileName : nil,
        expecting: content.source.manifest.totalBytes
      )
    }
    // Transformers takes no folder whose weights do not name it.
    let metadata = content.source.manifest.metadata.merging(["format": "pt"]) { own, _ in own }
    let writer = SafetensorsWriter(metadata: metadata) { counter.add($0) }
    var names = try writer.write(content.source, into: folder, shardSize: shardSize)
    for (name, bytes) in files {
      try Self.write(bytes, as: name, into: folder)
      names.append(name)
    }
    let record = try CheckpointError.onFiles { () throws(FileError) in
      try folder.reading { path throws(FileError) in
        let outputs = names.sorted().map { (name: $0, path: Folder.join(path, $0)) }
        return try self.record(of: content, outputs: outputs)
      }
    }
    try Self.write(record.page, as: ModelRecord.fileName, into: folder)
    do throws(FileError) {
      try folder.commit()
    } catch {
      throw CheckpointError(error)
    }
  }

  /// The files that go into a KCF with the tensors.
  private func attachments(of content: ModelContent) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for (name, bytes) in try content.files() { files[name] = bytes }
    let record = try CheckpointError.onFiles { () throws(FileError) in
      try self.record(of: content, outputs: [])
    }
    files[ModelRecord.fileName] = record.page
    return files
  }

  private func record(
    of content: ModelContent,
    outputs: [(name: String, path: String)]
  ) throws(FileError) -> JSONValue {
    let inputs = content.inputs.map { (name: Folder.lastComponent(of: $0), path: $0) }
    let entries = try ModelRecord.entries(inputs + outputs, isHashed: isHashed)
    return content.record.json(
      inputs: Array(entries.prefix(inputs.count)),
      outputs: Array(entries.dropFirst(inputs.count))
    )
  }

  private static func write(
    _ bytes: [UInt8],
    as name: String,
    into folder: borrowing AtomicFolder
  ) throws(CheckpointError) {
    do throws(FileError) {
      var file = try folder.file(name)
      try file.write(bytes)
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }
}
