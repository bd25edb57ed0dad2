public import KaratBytes
import KaratCheckpoints
public import KaratGraphs
public import KaratTensors

/// Writes a model folder that other programs load: weights, config, tokenizer, and a record of how
/// it came about.
public struct ModelWriter: Sendable {
  /// The most bytes of tensors in one file, or nil for a single file.
  public var shardSize: Int?
  /// Whether a folder that Karat wrote before may be replaced.
  public var isReplacing: Bool
  /// Whether the record holds the SHA-256 of every input and output, which reads them all.
  public var isHashed: Bool
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

  /// Checks that a folder may be written, before any work is done for it.
  ///
  /// - Throws: `CheckpointError` where it exists already and may not be replaced.
  public func checkTarget(_ path: String) throws(CheckpointError) {
    AtomicFolder.clearStrays(of: path)
    let marker = Folder.join(path, ModelRecord.fileName)
    guard FileStatus.isThere(path), !(isReplacing && FileStatus.isThere(marker)) else { return }
    throw CheckpointError(
      .exists,
      file: path,
      isReplacing
        ? "it exists already and holds no \(ModelRecord.fileName), so it is not certain that it "
          + "may go. Choose another name, or remove it yourself."
        : "it exists already. Choose another name, or replace it with --force."
    )
  }

  /// Writes what passes made of a model.
  ///
  /// - Throws: as `write(_:to:)` does.
  public func write(
    _ model: Model,
    from loaded: LoadedModel,
    record: ModelRecord,
    to path: String
  ) throws {
    var config = loaded.config
    config["quantization_config"] = QuantizationConfig(describing: model.graph)?.json
    let folder = ModelFolder(
      source: model.source,
      config: config,
      companions: loaded.companions,
      inputs: loaded.inputFiles,
      record: record
    )
    try write(folder, to: path)
  }

  /// Writes a folder, which appears whole or not at all.
  ///
  /// - Throws: `CheckpointError` where the target exists, the disk is full or fails, or a tensor
  ///   cannot be had; `TokenizerError` where the tokenizer cannot be written; nothing is left then.
  package func write(_ content: ModelFolder, to path: String) throws {
    let documents = try content.companions.documents()
    let folder = try CheckpointError.onFiles { () throws(FileError) in
      try AtomicFolder(
        path,
        replacingFolderWith: isReplacing ? ModelRecord.fileName : nil,
        expecting: content.source.manifest.totalBytes
      )
    }
    let counter = ByteCounter(total: content.source.manifest.totalBytes, progress)
    let writer = SafetensorsWriter(metadata: ["format": "pt"]) { counter.add($0) }
    let weights = try writer.write(
      content.source,
      into: folder,
      shardSize: shardSize
    )
    try CheckpointError.onFiles { () throws(FileError) in
      var names = weights
      let config = content.config.map { [(name: "config.json", content: JSONValue.object($0))] }
      for (name, document) in documents + (config ?? []) {
        try Self.write(document, as: name, into: folder)
        names.append(name)
      }
      for (name, source) in content.companions.files {
        try folder.copy(source, as: name)
        names.append(name)
      }
      let inputs = content.inputs.map { (name: Folder.lastComponent(of: $0), path: $0) }
      let outputs = names.sorted().map { (name: $0, path: Folder.join(folder.path, $0)) }
      let entries = try ModelRecord.entries(inputs + outputs, isHashed: isHashed)
      let record = content.record.json(
        inputs: Array(entries.prefix(inputs.count)),
        outputs: Array(entries.dropFirst(inputs.count))
      )
      try Self.write(record, as: ModelRecord.fileName, into: folder)
    }
    do throws(FileError) {
      try folder.commit()
    } catch {
      throw CheckpointError(error)
    }
  }

  private static func write(
    _ document: JSONValue,
    as name: String,
    into folder: borrowing AtomicFolder
  ) throws(FileError) {
    var file = try folder.file(name)
    try file.write(document.serialized(indent: 2) + [UInt8(ascii: "\n")])
    try file.commit()
  }
}

/// What goes into a model folder.
package struct ModelFolder {
  /// The tensors, pulled one at a time.
  package var source: any TensorSource
  /// The content of config.json, or nil where there is none to write.
  package var config: JSONObject?
  /// The files that travel along.
  package var companions: Companions
  /// The files that the model was made from, for the record.
  package var inputs: [String]
  /// How the model came about.
  package var record: ModelRecord

  package init(
    source: any TensorSource,
    config: JSONObject?,
    companions: Companions,
    inputs: [String],
    record: ModelRecord
  ) {
    self.source = source
    self.config = config
    self.companions = companions
    self.inputs = inputs
    self.record = record
  }
}
