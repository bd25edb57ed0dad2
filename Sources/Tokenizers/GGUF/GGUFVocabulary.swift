/// A tokenizer as a GGUF file's metadata hold it, under `tokenizer.ggml.` and `tokenizer.`.
public struct GGUFVocabulary: Sendable {
  /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE), `llama` (SentencePiece BPE) or `bert`
  /// (WordPiece).
  public var model: String
  /// `tokenizer.ggml.pre`: how text is split for byte-level BPE, such as `smollm`.
  public var preTokenizer: String?
  /// `tokenizer.ggml.tokens`, by id.
  public var tokens: [String]
  /// `tokenizer.ggml.token_type`, by id, as `TokenType` counts; empty where there are none.
  public var tokenTypes: [Int]
  /// `tokenizer.ggml.merges`, as `left right`.
  public var merges: [String]
  /// `tokenizer.ggml.scores`, by id; empty where there are none.
  public var scores: [Float]
  /// `tokenizer.ggml.bos_token_id`: starts a text.
  public var beginID: Int?
  /// `tokenizer.ggml.eos_token_id`: ends a text.
  public var endID: Int?
  /// `tokenizer.ggml.unknown_token_id`: stands for what no token spells.
  public var unknownID: Int?
  /// `tokenizer.ggml.padding_token_id`: fills up batches.
  public var paddingID: Int?
  /// `tokenizer.ggml.cls_token_id`: starts a text for BERT.
  public var classID: Int?
  /// `tokenizer.ggml.seperator_token_id`, as it is spelled: ends a text for BERT.
  public var separatorID: Int?
  /// `tokenizer.ggml.normalizer.lowercase`: whether WordPiece makes letters small; if not told, yes.
  public var lowercases: Bool?
  /// `tokenizer.ggml.normalizer.strip_accents`: whether WordPiece drops accents; if not told, as
  /// `lowercases`.
  public var stripsAccents: Bool?
  /// `tokenizer.ggml.add_bos_token`: whether encoding puts the first before a text.
  public var addsBegin: Bool?
  /// `tokenizer.ggml.add_eos_token`: whether encoding puts the second behind it.
  public var addsEnd: Bool?
  /// `tokenizer.ggml.add_space_prefix`: whether SentencePiece puts a space before a text.
  public var addsSpacePrefix: Bool?
  /// `tokenizer.chat_template`, passed on as it is.
  public var chatTemplate: String?

  /// What a token is, as GGUF numbers it.
  public enum TokenType: Int, Sendable {
    /// A piece of text.
    case normal = 1
    /// What stands for unknown text.
    case unknown = 2
    /// A mark that steers the model.
    case control = 3
    /// A text that is always one token.
    case userDefined = 4
    /// A place kept free.
    case unused = 5
    /// One byte, as `<0x..>`.
    case byte = 6
  }

  /// The names known under `tokenizer.ggml.pre`.
  public static var preTokenizers: [String] { GGUFPreTokenizer.names }

  /// Collects the parts that every vocabulary has; set the others afterwards.
  public init(model: String, preTokenizer: String?, tokens: [String]) {
    self.model = model
    self.preTokenizer = preTokenizer
    self.tokens = tokens
    tokenTypes = []
    merges = []
    scores = []
  }

  /// The type of a token; normal where the file tells none.
  func type(of id: Int) -> TokenType {
    tokenTypes.isEmpty ? .normal : TokenType(rawValue: tokenTypes[id]) ?? .normal
  }
}
