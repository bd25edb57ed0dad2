import KaratBytes
import KaratCheckpoints
import KaratTensors
public import KaratTokenizers

/// Opens a model's tokenizer; neither its weights nor its config need be there or be supported.
public enum ModelTokenizer {
  /// The tokenizer of a model folder, a checkpoint in one, a GGUF or KCF file, or a `tokenizer.json`.
  ///
  /// - Throws: `CheckpointError` where there is none, `TokenizerError` where it breaks a rule or is
  ///   not supported.
  public static func open(_ path: String) throws -> Tokenizer {
    guard path.hasSuffix(".json") else { return try companions(of: path).tokenizer(of: path) }
    let bytes = try CheckpointError.onFiles { () throws(FileError) in
      try ReadableFile.contents(of: path)
    }
    return try Tokenizer(json: bytes, file: path)
  }

  private static func companions(of path: String) throws(CheckpointError) -> Companions {
    let status = try CheckpointError.onFiles { () throws(FileError) in try FileStatus(of: path) }
    if status.kind == .folder, FileStatus.isThere(Folder.join(path, Companions.tokenizerName)) {
      return try Companions(folder: path)
    }
    let files = try Checkpoint.files(of: path)
    if let file = files.last,
      try Checkpoint.format(of: file).name == CheckpointFormat.gguf.name
    {
      return Companions(gguf: try GGUFReader(file).metadata, file: file)
    }
    return try ModelFiles.open(path).companions
  }
}
