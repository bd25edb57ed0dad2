package import KaratBytes
package import KaratTensors

/// Reads typed values from a model's config.json, with limits that keep a hostile one harmless.
package struct Config {
  /// What a size in a config may be at most: large enough for any model, small enough that the
  /// product of two of them cannot overflow.
  package static let largestSize = 1 << 27
  /// How many layers a config may ask for.
  package static let mostLayers = 4096

  package let object: JSONObject
  /// The file's name in messages.
  package let file: String
  /// The names of the checkpoint's tensors, of which some families leave some out or spell them in
  /// two ways; nil where there is no checkpoint.
  package let tensors: Manifest?
  /// How an encoder's vectors of tokens become one of the text.
  package let sentenceEmbedding: SentenceEmbedding

  package init(
    _ object: JSONObject,
    file: String,
    tensors: Manifest? = nil,
    sentenceEmbedding: SentenceEmbedding = SentenceEmbedding()
  ) {
    self.object = object
    self.file = file
    self.tensors = tensors
    self.sentenceEmbedding = sentenceEmbedding
  }

  /// Whether the checkpoint has a tensor of that name.
  package func holds(_ name: TensorName) -> Bool { tensors?[name] != nil }

  /// A whole number that must be there, from 1 to a limit.
  package func size(_ key: String, atMost limit: Int = Config.largestSize) throws(ConfigError)
    -> Int
  {
    guard let value = present(key) else {
      throw fault("'\(key)' is not there; a whole number from 1 to \(limit) is needed.")
    }
    guard let number = value.int, (1...limit).contains(number) else {
      throw fault("'\(key)' is \(value.shortText); a whole number from 1 to \(limit) is needed.")
    }
    return number
  }

  /// A whole number from 1 to a limit, or another value where it is absent or null.
  ///
  /// - Parameters:
  ///   - key: its name.
  ///   - other: what null stands for.
  ///   - absent: what its absence stands for, where a family means something else by that.
  /// - Returns: the number, or what stands for it.
  /// - Throws: `ConfigError` where it is something else.
  package func size(
    _ key: String,
    default other: Int,
    whereAbsent absent: Int? = nil
  ) throws(ConfigError) -> Int {
    if let absent, object[key] == nil { return absent }
    return present(key) == nil ? other : try size(key)
  }

  /// A finite number, or nil where it is absent or null.
  package func number(_ key: String) throws(ConfigError) -> Double? {
    guard let value = present(key) else { return nil }
    guard let number = value.double, number.isFinite else {
      throw fault("'\(key)' is \(value.shortText); a number is needed.")
    }
    return number
  }

  /// A whole number from 0 to the largest size; 0 where it is absent or null.
  package func count(_ key: String) throws(ConfigError) -> Int {
    guard let value = present(key) else { return 0 }
    guard let number = value.int, (0...Config.largestSize).contains(number) else {
      throw fault(
        "'\(key)' is \(value.shortText); a whole number from 0 to \(Config.largestSize) is needed."
      )
    }
    return number
  }

  /// Whole numbers; none where they are absent or null.
  package func integers(_ key: String) throws(ConfigError) -> [Int] {
    guard let value = present(key) else { return [] }
    guard let numbers = value.array?.map(\.int), numbers.allSatisfy({ $0 != nil }) else {
      throw fault("'\(key)' is \(value.shortText); a list of whole numbers is needed.")
    }
    return numbers.compactMap(\.self)
  }

  /// A positive number, or another value where it is absent or null.
  package func positive(_ key: String, default other: Float?) throws(ConfigError) -> Float {
    guard let value = present(key) else {
      guard let other else { throw fault("'\(key)' is not there; a positive number is needed.") }
      return other
    }
    guard let number = value.double.map({ Float($0) }), number.isFinite, number > 0 else {
      throw fault("'\(key)' is \(value.shortText); a positive number is needed.")
    }
    return number
  }

  /// True or false, or another value where it is absent or null.
  package func flag(_ key: String, default other: Bool) throws(ConfigError) -> Bool {
    guard let value = present(key) else { return other }
    guard let flag = value.bool else {
      throw fault("'\(key)' is \(value.shortText); true or false is needed.")
    }
    return flag
  }

  /// An object, or nil where it is absent or null.
  package func nested(_ key: String) throws(ConfigError) -> Config? {
    guard let value = present(key) else { return nil }
    guard let object = value.object else {
      throw fault("'\(key)' is \(value.shortText); an object is needed.")
    }
    return Config(object, file: "\(file), '\(key)'")
  }

  /// Text, or nil where it is absent or null.
  package func text(_ key: String) throws(ConfigError) -> String? {
    guard let value = present(key) else { return nil }
    guard let text = value.string else {
      throw fault("'\(key)' is \(value.shortText); text is needed.")
    }
    return text
  }

  /// Texts, or nil where they are absent or null.
  package func texts(_ key: String) throws(ConfigError) -> [String]? {
    guard let value = present(key) else { return nil }
    guard let texts = value.array?.map(\.string), texts.allSatisfy({ $0 != nil }) else {
      throw fault("'\(key)' is \(value.shortText); a list of texts is needed.")
    }
    return texts.compactMap(\.self)
  }

  /// Refuses keys that would change what is computed, unless they hold a value that does not.
  package func refuse(_ keys: String..., unless harmless: JSONValue...) throws(ConfigError) {
    for key in keys {
      guard let value = present(key), !harmless.contains(value) else { continue }
      throw ConfigError(
        file: file,
        "'\(key)' is \(value.shortText), which changes what the model computes and is not "
          + "supported.",
        isUnsupported: true
      )
    }
  }

  package func fault(_ message: String) -> ConfigError { ConfigError(file: file, message) }

  /// Whether a key is there and not null.
  func isPresent(_ key: String) -> Bool { present(key) != nil }

  private func present(_ key: String) -> JSONValue? {
    object[key].flatMap { $0.isNull ? nil : $0 }
  }
}

extension JSONValue {
  /// The value as it stands in messages, cut where it is long.
  var shortText: String {
    let text = String(decoding: serialized(indent: nil), as: UTF8.self)
    return text.count > 40 ? text.prefix(40) + "…" : text
  }
}
