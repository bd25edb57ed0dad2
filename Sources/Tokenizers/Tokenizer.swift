public import KaratBytes

/// A tokenizer: turns text into token ids and back as `tokenizer.json` says.
///
/// Encoding: added tokens are cut out, the text between them is normalized, split into pieces,
/// and each piece encoded by the model. Results are those of the `tokenizers` package without
/// truncation, padding and dropout, whatever the file asks of them.
///
/// A value may be used from several threads at once.
public struct Tokenizer: Sendable {
  let addedTokens: AddedTokens
  let normalizer: Normalizer?
  let preTokenizer: PreTokenizer?
  private let model: TokenModel
  var postProcessor: PostProcessor
  let decoder: Decoder?

  /// Reads the bytes of a `tokenizer.json`.
  ///
  /// - Parameters:
  ///   - bytes: the file's bytes.
  ///   - file: the name for errors.
  /// - Throws: `TokenizerError` with the place in the file: not JSON, a component that is not
  ///   supported, or parts that contradict each other.
  public init(json bytes: UnsafeRawBufferPointer, file: String) throws(TokenizerError) {
    let document: JSONValue
    do {
      document = try JSONValue.parse(bytes)
    } catch {
      throw TokenizerError(file: file, place: "", message: error.description)
    }
    try self.init(document, file: file)
  }

  /// Reads the bytes of a `tokenizer.json` in an array.
  ///
  /// - Throws: `TokenizerError` as `init(json:file:)` for a buffer.
  public init(json bytes: [UInt8], file: String) throws(TokenizerError) {
    self = try bytes.span.withUnsafeBytes { bytes throws(TokenizerError) in
      try Tokenizer(json: bytes, file: file)
    }
  }

  /// Reads a `tokenizer.json` that was parsed already.
  ///
  /// - Throws: `TokenizerError` with the place in the file.
  public init(_ document: JSONValue, file: String) throws(TokenizerError) {
    let fields = try Fields(document, path: "", file: file)
    model = try TokenModel(try fields.fields("model"))
    normalizer =
      if let part = try fields.optionalFields("normalizer") {
        try Normalizer(part)
      } else {
        nil
      }
    preTokenizer =
      if let part = try fields.optionalFields("pre_tokenizer") {
        try PreTokenizer(part)
      } else {
        nil
      }
    postProcessor =
      if let part = try fields.optionalFields("post_processor") {
        try PostProcessor(part)
      } else {
        PostProcessor()
      }
    decoder = if let part = try fields.optionalFields("decoder") { try Decoder(part) } else { nil }
    addedTokens = try AddedTokens(
      fields.optional("added_tokens") == nil ? [] : try fields.list("added_tokens"),
      vocabulary: model.vocabulary,
      normalizer: normalizer
    )
    for id in postProcessor.prefix + postProcessor.suffix where token(for: id) == nil {
      throw TokenizerError(
        file: file,
        place: "post_processor",
        message: "adds the id \(id), which no token has; the id of a token is needed."
      )
    }
  }

  /// Encodes a text.
  ///
  /// - Parameters:
  ///   - text: the text; special tokens written in it become their ids.
  ///   - addSpecialTokens: whether to put around it what the post-processor names, such as a
  ///     start-of-text token.
  /// - Returns: the ids. Time grows as n log n at most, whatever the text.
  public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
    encode(valid: Array(text.utf8), addSpecialTokens)
  }

  /// Encodes a text in UTF-8; bytes that are not become U+FFFD.
  ///
  /// - Returns: the ids, as `encode(_:addSpecialTokens:)` for a string.
  public func encode(utf8 text: [UInt8], addSpecialTokens: Bool = true) -> [Int32] {
    encode(String(decoding: text, as: UTF8.self), addSpecialTokens: addSpecialTokens)
  }

  private func encode(valid text: [UInt8], _ addSpecialTokens: Bool) -> [Int32] {
    var ids: [Int32] = addSpecialTokens ? postProcessor.prefix : []
    for part in addedTokens.parts(of: text, isNormalized: false) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range): encode(section: Array(text[range]), range.lowerBound == 0, into: &ids)
      }
    }
    if addSpecialTokens { ids += postProcessor.suffix }
    return ids
  }

  /// Appends the ids of a text in which no token is left that is found before normalizing.
  ///
  /// `beginsText` tells whether it is at the start of the whole text, and `found` which added tokens
  /// are found once it is normalized.
  func encode(
    section text: [UInt8],
    _ beginsText: Bool,
    finding found: AddedTokens.Found = .all,
    into ids: inout [Int32]
  ) {
    let text = normalizer?.normalize(text) ?? text
    for part in addedTokens.parts(of: text, isNormalized: true, finding: found) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        var pieces = Pieces(Array(text[range]), beginText: beginsText && range.lowerBound == 0)
        preTokenizer?.apply(to: &pieces)
        model.encode(pieces, into: &ids)
      }
    }
  }

  /// Decodes ids to text.
  ///
  /// - Parameters:
  ///   - ids: the ids; those that no token has are left out.
  ///   - skipSpecialTokens: whether to leave out special tokens.
  /// - Returns: the text; bytes that are not UTF-8 are U+FFFD.
  public func decode(_ ids: [Int32], skipSpecialTokens: Bool = true) -> String {
    String(decoding: decodedBytes(ids, skipSpecialTokens: skipSpecialTokens), as: UTF8.self)
  }

  /// What ids decode to, which ends within a character where the ids do.
  func decodedBytes(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> [UInt8] {
    let tokens = ids.compactMap { shownToken($0, skipSpecialTokens: skipSpecialTokens) }
    if let decoder { return Array(decoder.decode(tokens).joined()) }
    return Array(tokens.joined(separator: [UInt8(ascii: " ")]))
  }

  /// The token of an id, unless it is to be left out of texts.
  func shownToken(_ id: Int32, skipSpecialTokens: Bool) -> [UInt8]? {
    guard let added = addedTokens.token(of: id) else { return model.vocabulary.token(of: id) }
    return skipSpecialTokens && added.isSpecial ? nil : Array(added.text.utf8)
  }

  /// One more than the highest id: what a model's embedding needs at least.
  public var vocabularySize: Int {
    max(model.vocabulary.upperBound, addedTokens.upperBound)
  }

  /// The text of an id in the spelling of the vocabulary, such as `Ġthe`; nil where none has it.
  public func token(for id: Int32) -> String? {
    addedTokens.token(of: id)?.text
      ?? model.vocabulary.token(of: id).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The id of a token in the spelling of the vocabulary, compared by bytes; nil where it is none.
  public func id(for token: String) -> Int32? {
    addedTokens.id(of: token) ?? model.vocabulary.id(of: token)
  }

  /// The tokens that steer the model, such as end-of-text marks, by rising id.
  public var specialTokens: [AddedToken] {
    addedTokens.tokens.filter(\.isSpecial).sorted { $0.id < $1.id }
  }
}
