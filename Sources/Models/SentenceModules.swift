import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratTensors

/// What the files of sentence-transformers beside an encoder say.
extension Companions {
  /// How vectors of tokens become one of the text: `modules.json` and the config of its pooling; the
  /// mean of all tokens where there are none.
  ///
  /// - Throws: `CheckpointError` where a file is not what it should be, `ConfigError` where it asks for
  ///   what is not computed.
  func sentenceEmbedding() throws -> SentenceEmbedding {
    guard let file = file("modules.json") else { return SentenceEmbedding() }
    func unsupported(_ message: String) -> ConfigError {
      ConfigError(file: file.place, message, isUnsupported: true)
    }
    let modules: [JSONValue]
    do {
      modules = try JSONValue.parse(try file.content()).array ?? []
    } catch let error as JSONError {
      throw CheckpointError(.malformed, file: file.place, "\(error)")
    }
    var embedding = SentenceEmbedding()
    var kinds: [String] = []
    for module in modules {
      let type = module["type"]?.string ?? "of no type"
      let kind = type.split(separator: ".").last.map(String.init) ?? type
      kinds.append(kind)
      switch kind {
      case "Transformer": break
      case "Pooling": embedding.pooled = try pooled(under: module["path"]?.string ?? "")
      case "Normalize": embedding.isNormalized = true
      default:
        throw unsupported(
          "the module '\(type)' is not supported. Supported: Transformer, Pooling, Normalize."
        )
      }
    }
    guard ["Transformer", "Pooling", "Normalize"].starts(with: kinds), kinds.count >= 1 else {
      throw unsupported(
        "the modules are \(kinds.joined(separator: ", ")); Transformer, then Pooling, then Normalize"
          + " is what is computed."
      )
    }
    return embedding
  }

  private func pooled(under folder: String) throws -> SentenceEmbedding.Pooled {
    let name = folder.isEmpty ? "config.json" : folder + "/config.json"
    guard let file = file(name) else { return .all(.mean) }
    let config = try ModelFiles.object(try file.content(), in: file.place)
    let prefix = "pooling_mode_"
    var modes = config.members
      .filter { $0.key.hasPrefix(prefix) && $0.value.bool == true }
      .map { String($0.key.dropFirst(prefix.count)) }
    if let mode = config["pooling_mode"]?.string { modes = [mode] }
    switch modes {
    case ["cls_token"], ["cls"]: return .first
    case ["mean_tokens"], ["mean"], []: return .all(.mean)
    case ["max_tokens"], ["max"]: return .all(.max)
    case ["mean_sqrt_len_tokens"]: return .all(.meanOverRoot)
    default:
      throw ConfigError(
        file: file.place,
        "the pooling is \(modes.joined(separator: " and ")); one of cls_token, mean_tokens, "
          + "max_tokens and mean_sqrt_len_tokens is supported.",
        isUnsupported: true
      )
    }
  }

  /// How many tokens of a text an encoder reads, as `sentence_bert_config.json` says, or nil where it
  /// does not.
  var maximumSentenceLength: Int? {
    guard let file = file("sentence_bert_config.json"), let bytes = try? file.content() else {
      return nil
    }
    let config = try? ModelFiles.object(bytes, in: file.place)
    return config?["max_seq_length"]?.int.flatMap { $0 > 0 ? $0 : nil }
  }
}
