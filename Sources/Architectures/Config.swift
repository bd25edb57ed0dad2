package import KaratBytes
package import KaratGraphs

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

  package init(_ object: JSONObject, file: String) {
    self.object = object
    self.file = file
  }

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
  package func size(_ key: String, default other: Int) throws(ConfigError) -> Int {
    present(key) == nil ? other : try size(key)
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

  private func present(_ key: String) -> JSONValue? {
    object[key].flatMap { $0.isNull ? nil : $0 }
  }
}

extension Config {
  /// How fast rotary embeddings turn: `rope_parameters` of newer configs, or `rope_theta` and
  /// `rope_scaling` of older ones.
  package func rotation() throws(ConfigError) -> RotationFrequencies {
    let parameters = try nested("rope_parameters")
    let own = try positive("rope_theta", default: 10_000)
    let base: Float
    if let parameters {
      base = try parameters.positive("rope_theta", default: own)
    } else {
      base = own
    }
    let settings: Config?
    if let parameters { settings = parameters } else { settings = try nested("rope_scaling") }
    guard let settings else { return RotationFrequencies(base: base) }
    try settings.refuse("partial_rotary_factor", unless: 1, 1.0)
    let current = try settings.text("rope_type")
    let former = try settings.text("type")
    let type = current ?? former ?? "default"
    switch type {
    case "default": return RotationFrequencies(base: base)
    case "linear":
      let factor = try settings.positive("factor", default: nil)
      return RotationFrequencies(base: base, scaling: .linear(factor: factor))
    case "llama3":
      return RotationFrequencies(
        base: base,
        scaling: .llama3(
          factor: try settings.positive("factor", default: nil),
          lowFactor: try settings.positive("low_freq_factor", default: nil),
          highFactor: try settings.positive("high_freq_factor", default: nil),
          originalLength: try settings.positive("original_max_position_embeddings", default: nil)
        )
      )
    default:
      throw ConfigError(
        file: settings.file,
        "the rotary scaling '\(type)' is not supported. Supported: default, linear, llama3.",
        isUnsupported: true
      )
    }
  }
}

extension JSONValue {
  /// The value as it stands in messages, cut where it is long.
  fileprivate var shortText: String {
    let text = String(decoding: serialized(indent: nil), as: UTF8.self)
    return text.count > 40 ? text.prefix(40) + "…" : text
  }
}
