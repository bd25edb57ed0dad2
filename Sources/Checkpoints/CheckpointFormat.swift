import KaratTensors

/// A file format that checkpoints come in.
public struct CheckpointFormat: Sendable {
  /// The name, as in `--to safetensors`.
  public let name: String
  /// How file names of this format end, without the dot.
  public let fileExtensions: [String]
  /// The name that a model folder's only file of this format has, or nil where there is no custom.
  public let modelName: String?
  /// How many bytes of a file's start are looked at.
  static let startByteCount = 16

  /// Whether a file that starts with these bytes is of this format.
  let recognizes: @Sendable (_ start: [UInt8]) -> Bool
  /// Opens a file.
  let open: @Sendable (String, FileAccess) throws(CheckpointError) -> any TensorSource

  /// All formats, in the order in which they are tried.
  public static let all: [CheckpointFormat] = [.gguf, .kcf, .safetensors, .pytorch]

  /// The name of the index in a model folder of several files, or nil where there is no custom.
  public var indexName: String? { modelName.map { $0 + ".index.json" } }
}

extension CheckpointFormat {
  /// GGUF, the format of llama.cpp.
  public static let gguf = CheckpointFormat(
    name: "gguf",
    fileExtensions: ["gguf"],
    modelName: nil,
    recognizes: { $0.starts(with: "GGUF".utf8) },
    open: { path, access throws(CheckpointError) in try GGUFReader(path, access: access) }
  )

  /// KCF, Karat's chunked checkpoint format.
  public static let kcf = CheckpointFormat(
    name: "kcf",
    fileExtensions: ["kcf"],
    modelName: nil,
    recognizes: { $0.starts(with: ChunkedHead.mark) },
    open: { path, access throws(CheckpointError) in try ChunkedReader(path, access: access) }
  )

  /// The format of Hugging Face.
  ///
  /// It has no magic number: a length below the allowed one is followed by JSON.
  public static let safetensors = CheckpointFormat(
    name: "safetensors",
    fileExtensions: ["safetensors"],
    modelName: "model.safetensors",
    recognizes: { start in
      start.count > 8 && start[4..<8].allSatisfy { $0 == 0 }
        && [UInt8]("{ \t\r\n".utf8).contains(start[8])
    },
    open: { path, access throws(CheckpointError) in try SafetensorsReader(path, access: access) }
  )

  /// What torch.save writes: a zip archive with a pickle.
  ///
  /// Its older forms are recognized too, and refused with a word on what to do.
  public static let pytorch = CheckpointFormat(
    name: "pytorch",
    fileExtensions: ["bin", "pt", "pth"],
    modelName: "pytorch_model.bin",
    recognizes: LegacyTorch.recognizes,
    open: { path, access throws(CheckpointError) in try TorchReader(path, access: access) }
  )
}
