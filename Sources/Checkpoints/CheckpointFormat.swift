import KaratTensors

/// A file format that checkpoints come in.
public struct CheckpointFormat: Sendable {
  /// The name, as in `--to safetensors`.
  public let name: String
  /// How file names of this format end, without the dot.
  public let fileExtension: String
  /// How many bytes of a file's start are looked at.
  static let startByteCount = 16

  /// Whether a file that starts with these bytes is of this format.
  let recognizes: @Sendable (_ start: [UInt8]) -> Bool
  /// Opens a file.
  let open: @Sendable (String, FileAccess) throws(CheckpointError) -> any TensorSource

  /// All formats, in the order in which they are tried.
  public static let all: [CheckpointFormat] = [.gguf, .kcf, .safetensors]
}

extension CheckpointFormat {
  /// GGUF, the format of llama.cpp.
  public static let gguf = CheckpointFormat(
    name: "gguf",
    fileExtension: "gguf",
    recognizes: { $0.starts(with: "GGUF".utf8) },
    open: { path, access throws(CheckpointError) in try GGUFReader(path, access: access) }
  )

  /// KCF, Karat's chunked checkpoint format.
  public static let kcf = CheckpointFormat(
    name: "kcf",
    fileExtension: "kcf",
    recognizes: { $0.starts(with: ChunkedHead.mark) },
    open: { path, access throws(CheckpointError) in try ChunkedReader(path, access: access) }
  )

  /// The format of Hugging Face.
  ///
  /// It has no magic number: a length below the allowed one is followed by JSON.
  public static let safetensors = CheckpointFormat(
    name: "safetensors",
    fileExtension: "safetensors",
    recognizes: { start in
      start.count > 8 && start[4..<8].allSatisfy { $0 == 0 }
        && [UInt8]("{ \t\r\n".utf8).contains(start[8])
    },
    open: { path, access throws(CheckpointError) in try SafetensorsReader(path, access: access) }
  )
}
