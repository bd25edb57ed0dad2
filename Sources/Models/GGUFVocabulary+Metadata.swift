import KaratCheckpoints
import KaratTokenizers

extension GGUFVocabulary {
  /// The tokenizer in a GGUF's metadata, or nil where there is none.
  init?(_ metadata: GGUFMetadata) {
    func value(_ key: String) -> GGUFValue? { metadata["tokenizer.ggml." + key] }
    guard let model = value("model")?.string, let tokens = value("tokens")?.array?.strings else {
      return nil
    }
    self.init(model: model, preTokenizer: value("pre")?.string, tokens: tokens)
    tokenTypes = value("token_type")?.array?.ints ?? []
    merges = value("merges")?.array?.strings ?? []
    scores = value("scores")?.array?.floats ?? []
    beginID = value("bos_token_id")?.int
    endID = value("eos_token_id")?.int
    unknownID = value("unknown_token_id")?.int
    paddingID = value("padding_token_id")?.int
    addsBegin = value("add_bos_token")?.bool
    addsEnd = value("add_eos_token")?.bool
    addsSpacePrefix = value("add_space_prefix")?.bool
    chatTemplate = metadata["tokenizer.chat_template"]?.string
  }
}
