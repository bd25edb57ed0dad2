public import KaratTokenizers

/// Opens a model's tokenizer without its weights.
public enum ModelTokenizer {
  /// The tokenizer of a model folder or a GGUF file.
  ///
  /// - Throws: `CheckpointError` where there is none, `TokenizerError` where it breaks a rule or is
  ///   not supported.
  public static func open(_ path: String) throws -> Tokenizer {
    try ModelFiles.open(path).companions.tokenizer(of: path)
  }
}
