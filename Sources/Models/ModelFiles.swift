package import KaratBytes
import KaratCheckpoints
package import KaratTensors

/// What lies on disk for a model, before it is known whether it can run.
package struct ModelFiles: Sendable {
  /// The file or folder, as the user named it.
  package let path: String
  /// The name of the format, as in `CheckpointFormat`.
  package let format: String
  /// The tensors, under Hugging Face's names.
  package let source: any TensorSource
  /// The config, or nil where there is none.
  package let config: JSONObject?
  /// Where the config is, or would be.
  package let configPath: String
  /// The files that travel along.
  package let companions: Companions
  /// The files that hold the tensors and the config.
  package let inputFiles: [String]

  /// Looks at a file or folder.
  ///
  /// - Throws: `CheckpointError` where it is no checkpoint or breaks a rule of its format.
  package static func open(_ path: String) throws(CheckpointError) -> ModelFiles {
    let status = try CheckpointError.onFiles { () throws(FileError) in try FileStatus(of: path) }
    if status.kind == .folder { return try folder(path, at: path) }
    let format = try Checkpoint.format(of: path)
    if format.name == CheckpointFormat.gguf.name { return try gguf(path) }
    return try folder(path, at: parent(of: path))
  }

  /// A folder, or one file in it with the config beside.
  private static func folder(
    _ path: String,
    at folder: String
  ) throws(CheckpointError) -> ModelFiles {
    let source = try Checkpoint.open(path: path)
    let configPath = Folder.join(folder, "config.json")
    let config = FileStatus.isThere(configPath) ? try object(in: configPath) : nil
    return ModelFiles(
      path: path,
      format: try Checkpoint.format(of: path).name,
      source: source,
      config: config,
      configPath: configPath,
      companions: try Companions(folder: folder),
      inputFiles: try Checkpoint.files(of: path) + (config == nil ? [] : [configPath])
    )
  }

  private static func gguf(_ path: String) throws(CheckpointError) -> ModelFiles {
    let source = try GGUFModelSource(try GGUFReader(path))
    return ModelFiles(
      path: path,
      format: CheckpointFormat.gguf.name,
      source: source,
      config: source.config.object,
      configPath: path,
      companions: Companions(gguf: source.metadata, file: path),
      inputFiles: source.files
    )
  }

  /// Reads a JSON file whose root is an object.
  package static func object(in path: String) throws(CheckpointError) -> JSONObject {
    let bytes = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: path)
    }
    do {
      let value = try JSONValue.parse(bytes)
      guard let object = value.object else {
        throw CheckpointError(
          .malformed,
          file: path,
          "the root is \(value.kind); an object is needed."
        )
      }
      return object
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw CheckpointError(.malformed, file: path, "\(error)")
    }
  }

  /// Whether a file of a model folder holds tensors or says where they are.
  static func isWeight(_ name: String) -> Bool {
    [".safetensors", ".gguf", ".bin", ".pt", ".pth", ".kcf", ".index.json"]
      .contains { name.hasSuffix($0) }
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
