package import KaratCheckpoints
package import KaratTokenizers

extension GGUFVocabulary {
  /// The tokenizer in a GGUF's metadata, or nil where there is none.
  init?(_ metadata: GGUFMetadata) {
    func value(_ key: Key) -> GGUFValue? { metadata[key.rawValue] }
    guard let model = value(.model)?.string, let tokens = value(.tokens)?.array?.strings else {
      return nil
    }
    self.init(model: model, preTokenizer: value(.pre)?.string, tokens: tokens)
    tokenTypes = value(.tokenTypes)?.array?.ints ?? []
    merges = value(.merges)?.array?.strings ?? []
    scores = value(.scores)?.array?.floats ?? []
    beginID = value(.begin)?.int
    endID = value(.end)?.int
    unknownID = value(.unknown)?.int
    paddingID = value(.padding)?.int
    classID = value(.classID)?.int
    separatorID = value(.separator)?.int
    lowercases = value(.lowercases)?.bool
    stripsAccents = value(.stripsAccents)?.bool
    addsBegin = value(.addsBegin)?.bool
    addsEnd = value(.addsEnd)?.bool
    addsSpacePrefix = value(.addsSpacePrefix)?.bool
    chatTemplate = value(.chatTemplate)?.string
  }

  /// What a GGUF's metadata say of the tokenizer, in the order in which it is written.
  package var metadata: [(key: String, value: GGUFValue)] {
    func ids(_ values: [Int]) -> GGUFArray { .int32(values.map { Int32(truncatingIfNeeded: $0) }) }
    func id(_ value: Int?) -> GGUFValue? {
      value.flatMap { UInt32(exactly: $0) }.map(GGUFValue.uint32)
    }
    let values: [(Key, GGUFValue?)] = [
      (.model, .string(model)),
      (.pre, preTokenizer.map(GGUFValue.string)),
      (.tokens, .array(.string(tokens))),
      (.tokenTypes, tokenTypes.isEmpty ? nil : .array(ids(tokenTypes))),
      (.scores, scores.isEmpty ? nil : .array(.float32(scores))),
      // What reads byte-level BPE wants the key, even of an empty list.
      (.merges, merges.isEmpty && model != "gpt2" ? nil : .array(.string(merges))),
      (.begin, id(beginID)),
      (.end, id(endID)),
      (.unknown, id(unknownID)),
      (.padding, id(paddingID)),
      (.classID, id(classID)),
      (.separator, id(separatorID)),
      (.lowercases, lowercases.map(GGUFValue.bool)),
      (.stripsAccents, stripsAccents.map(GGUFValue.bool)),
      (.addsBegin, addsBegin.map(GGUFValue.bool)),
      (.addsEnd, addsEnd.map(GGUFValue.bool)),
      (.addsSpacePrefix, addsSpacePrefix.map(GGUFValue.bool)),
      (.chatTemplate, chatTemplate.map(GGUFValue.string)),
    ]
    return values.compactMap { key, value in value.map { (key.rawValue, $0) } }
  }

  private enum Key: String {
    case model = "tokenizer.ggml.model"
    case pre = "tokenizer.ggml.pre"
    case tokens = "tokenizer.ggml.tokens"
    case tokenTypes = "tokenizer.ggml.token_type"
    case scores = "tokenizer.ggml.scores"
    case merges = "tokenizer.ggml.merges"
    case begin = "tokenizer.ggml.bos_token_id"
    case end = "tokenizer.ggml.eos_token_id"
    case unknown = "tokenizer.ggml.unknown_token_id"
    case padding = "tokenizer.ggml.padding_token_id"
    case classID = "tokenizer.ggml.cls_token_id"
    case separator = "tokenizer.ggml.seperator_token_id"
    case lowercases = "tokenizer.ggml.normalizer.lowercase"
    case stripsAccents = "tokenizer.ggml.normalizer.strip_accents"
    case addsBegin = "tokenizer.ggml.add_bos_token"
    case addsEnd = "tokenizer.ggml.add_eos_token"
    case addsSpacePrefix = "tokenizer.ggml.add_space_prefix"
    case chatTemplate = "tokenizer.chat_template"
  }
}
