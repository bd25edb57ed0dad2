package import KaratBytes
import KaratCheckpoints
package import KaratTensors

/// What lies on disk for a model, before it is known whether it can run.
package struct ModelFiles: Sendable {
  /// The file or folder, as the user named it.
  package let path: String
  /// The name of the format, such as `safetensors`.
  package let format: String
  /// The tensors, under Hugging Face's names.
  package let source: any TensorSource
  /// The config, or nil where there is none.
  package let config: JSONObject?
  /// Where the config is, or would be.
  package let configPath: String
  /// The config as it lies there, or nil where there is none or it is made of a GGUF's metadata.
  package let configFile: Companions.File?
  /// The files that travel along.
  package let companions: Companions
  /// The files that hold the tensors and the config.
  package let inputFiles: [String]

  /// Looks at a file or folder.
  ///
  /// - Parameters:
  ///   - path: the file or folder.
  ///   - base: what the tensors of a KCF are differences from; nil where its own word is good.
  /// - Returns: what lies there, its tensors not read yet.
  /// - Throws: `CheckpointError` where it is no checkpoint or breaks a rule of its format.
  package static func open(
    _ path: String,
    base: (any TensorSource)? = nil
  ) throws(CheckpointError) -> ModelFiles {
    let files = try Checkpoint.files(of: path)
    guard let file = files.last else { throw CheckpointError(.missing, file: path, "it is empty.") }
    let format = try Checkpoint.format(of: file)
    switch format.name {
    case CheckpointFormat.gguf.name: return try gguf(file)
    case CheckpointFormat.kcf.name: return try chunked(file, base: base)
    default:
      let status = try CheckpointError.onFiles { () throws(FileError) in
        try FileStatus(of: path)
      }
      let folder = status.kind == .folder ? path : Folder.containing(path)
      return try loose(path, in: folder, files, format)
    }
  }

  /// Tensors in files of a folder, or in one of them, with the config beside them.
  private static func loose(
    _ path: String,
    in folder: String,
    _ files: [String],
    _ format: CheckpointFormat
  ) throws(CheckpointError) -> ModelFiles {
    let configPath = Folder.join(folder, configName)
    let config = FileStatus.isThere(configPath) ? try object(in: configPath) : nil
    return ModelFiles(
      path: path,
      format: format.name,
      source: try Checkpoint.open(path: path),
      config: config,
      configPath: configPath,
      configFile: config.map { _ in Companions.File(name: configName, at: configPath) },
      companions: try Companions(folder: folder),
      inputFiles: files + (config == nil ? [] : [configPath])
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
      configFile: nil,
      companions: Companions(gguf: source.metadata, file: path),
      inputFiles: source.files
    )
  }

  private static func chunked(
    _ path: String,
    base: (any TensorSource)?
  ) throws(CheckpointError) -> ModelFiles {
    let source = try ChunkedReader(path, base: base)
    let configPath = "\(path), \(configName)"
    let isThere = source.attachments.contains { $0.name == configName }
    return ModelFiles(
      path: path,
      format: CheckpointFormat.kcf.name,
      source: source,
      config: isThere ? try object(try source.attachment(configName), in: configPath) : nil,
      configPath: configPath,
      configFile: isThere
        ? Companions.File(name: configName, attachedTo: source, path: path) : nil,
      companions: Companions(attachedTo: source, path: path),
      inputFiles: [path]
    )
  }

  /// The name of the config in a model folder.
  package static let configName = "config.json"

  /// Reads a JSON file whose root is an object.
  package static func object(in path: String) throws(CheckpointError) -> JSONObject {
    let bytes = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: path)
    }
    return try object(bytes, in: path)
  }

  /// Reads JSON whose root is an object.
  package static func object(
    _ bytes: [UInt8],
    in path: String
  ) throws(CheckpointError) -> JSONObject {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(bytes)
    } catch {
      throw CheckpointError(.malformed, file: path, "\(error)")
    }
    guard let object = value.object else {
      throw CheckpointError(
        .malformed,
        file: path,
        "the root is \(value.kind); an object is needed."
      )
    }
    return object
  }

  /// Whether a file of a model folder holds tensors, in any program's format, or says where they
  /// are.
  static func isWeight(_ name: String) -> Bool {
    [
      ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".kcf", ".index.json", ".h5", ".msgpack",
      ".onnx", ".onnx_data", ".ot", ".npz", ".ckpt",
    ]
    .contains { name.hasSuffix($0) }
  }
}
