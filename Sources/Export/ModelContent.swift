package import KaratBytes
import KaratCheckpoints
package import KaratModels
package import KaratTensors

/// A model on its way to the disk.
package struct ModelContent: Sendable {
  /// What the model is called in messages.
  package var path: String
  /// The tensors, pulled piece by piece.
  package var source: any TensorSource
  /// The content of config.json, or nil where there is none.
  package var config: JSONObject?
  /// Where the config is, or would be.
  package var configPath: String
  /// The config as it lies on the disk, where nothing changes it: it is copied byte for byte then.
  package var configFile: Companions.File?
  /// The files that travel along.
  package var companions: Companions
  /// The files that the model was made from, for the record.
  package var inputs: [String]
  /// How the model came about.
  package var record: ModelRecord

  /// A model as it lies on the disk.
  package init(_ files: ModelFiles, record: ModelRecord = ModelRecord(command: "convert")) {
    path = files.path
    source = files.source
    config = files.config
    configPath = files.configPath
    configFile = files.configFile
    companions = files.companions
    inputs = files.inputFiles
    self.record = record
  }

  /// What passes made of a model.
  package init(
    of model: LoadedModel,
    source: any TensorSource,
    config: JSONObject,
    record: ModelRecord
  ) {
    path = model.path
    self.source = source
    self.config = config
    configPath = model.path
    companions = model.companions
    inputs = model.inputFiles
    self.record = record
  }

  /// The files beside the weights: their names in a model folder, and their contents.
  ///
  /// - Throws: `CheckpointError` where one cannot be read, `TokenizerError` where the tokenizer in a
  ///   GGUF's metadata is not supported.
  func files() throws -> [(name: String, bytes: [UInt8])] {
    var files = try companions.documents().map { (name: $0.name, bytes: $0.content.page) }
    if let configFile {
      files.append((configFile.name, try configFile.content()))
    } else if let config {
      files.append((ModelFiles.configName, JSONValue.object(config).page))
    }
    for file in companions.files { files.append((file.name, try file.content())) }
    return files
  }
}

extension JSONValue {
  /// The document as a file for people to read.
  var page: [UInt8] { serialized(indent: 2) + [UInt8(ascii: "\n")] }
}
