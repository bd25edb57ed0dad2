/// The stages of encoding one by one, for looking into them.
extension Tokenizer {
  /// What the normalizer makes of a text.
  package func normalized(_ text: String) -> String {
    let text = Array(text.utf8)
    return String(decoding: normalizer?.normalize(text) ?? text, as: UTF8.self)
  }

  /// The pieces of a text that was normalized, as the model gets them.
  package func pieces(of text: String) -> [String] {
    var pieces = Pieces(Array(text.utf8), beginText: true)
    preTokenizer?.apply(to: &pieces)
    return pieces.spans.map { String(decoding: pieces.bytes[$0], as: UTF8.self) }
  }
}
