import KaratBytes

/// Which special tokens stand around a text.
struct PostProcessor: Sendable {
  var prefix: [Int32] = []
  var suffix: [Int32] = []

  private static let known = [
    "BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing",
  ]

  /// Adds nothing.
  init() {}

  init(_ fields: Fields) throws(TokenizerError) {
    let type = try fields.type()
    switch type {
    case "ByteLevel": break  // Moves offsets, adds no token.
    case "BertProcessing", "RobertaProcessing":
      prefix = [try Self.pair(fields, "cls")]
      suffix = [try Self.pair(fields, "sep")]
    case "TemplateProcessing": try readTemplate(fields)
    case "Sequence":
      for part in try fields.list("processors") {
        let part = try PostProcessor(part)
        prefix = part.prefix + prefix
        suffix += part.suffix
      }
    default: throw fields.unknownType(type, known: Self.known)
    }
  }

  /// The id of a pair `["[SEP]", 102]`.
  private static func pair(_ fields: Fields, _ key: String) throws(TokenizerError) -> Int32 {
    let pair = try fields.array(key)
    guard pair.count == 2, pair[0].string != nil, let id = pair[1].int.flatMap(Int32.init(exactly:))
    else {
      throw fields.error(at: key, "not a token and its id, such as [\"[SEP]\", 102].")
    }
    return id
  }

  /// Reads the template for one text: special tokens around the sequence `A`.
  private mutating func readTemplate(_ fields: Fields) throws(TokenizerError) {
    let tokens = try fields.fields("special_tokens")
    var isBehind = false
    for part in try fields.list("single") {
      if let sequence = try part.optionalFields("Sequence") {
        let name = try sequence.string("id")
        guard name == "A", !isBehind else {
          throw sequence.error(
            at: "id",
            "'\(name)'; a template for one text needs the sequence A once."
          )
        }
        isBehind = true
        continue
      }
      let name = try part.fields("SpecialToken").string("id")
      let token = try tokens.fields(name)
      for (index, value) in try token.array("ids").enumerated() {
        guard let id = value.int.flatMap(Int32.init(exactly:)), id >= 0 else {
          throw token.error(at: "ids[\(index)]", "\(value.kind); the id of a token is needed.")
        }
        if isBehind { suffix.append(id) } else { prefix.append(id) }
      }
    }
  }
}
