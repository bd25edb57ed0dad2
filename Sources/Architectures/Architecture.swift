public import KaratBytes
package import KaratGraphs
package import KaratTensors

/// A family of models: how its config becomes a graph.
///
/// A new family is a file beside this one and a line in `all`.
public struct Architecture: Sendable {
  /// The names that `architectures` in config.json gives it.
  public let names: [String]
  /// What `model_type` in config.json says.
  public let modelType: String
  /// Traces the graph that a config describes.
  package let trace: @Sendable (Config) throws(ConfigError) -> Graph
  /// Whether a tensor may be in the checkpoint without being read, such as an old copy of a table.
  package let isSpare: @Sendable (TensorName) -> Bool

  /// Every family that Karat knows.
  public static let all: [Architecture] = [
    .bert,
    .deepSeekV2,
    .deepSeekV3,
    .llama,
    .mistral,
    .mixtral,
    .qwen2,
    .qwen3,
    .qwen3Mixture,
  ]

  /// The family of a config.
  ///
  /// - Parameters:
  ///   - config: the object of config.json.
  ///   - file: its name in messages.
  /// - Returns: the family that `architectures` names, or `model_type` where that is absent.
  /// - Throws: `ConfigError` naming the architecture and those that are supported.
  public static func named(by config: JSONObject, file: String) throws(ConfigError) -> Architecture
  {
    let listed = config["architectures"]?.array?.compactMap(\.string) ?? []
    let modelType = config["model_type"]?.string
    for architecture in all {
      if listed.contains(where: { architecture.names.contains($0) }) { return architecture }
      if listed.isEmpty, modelType == architecture.modelType { return architecture }
    }
    let name = listed.first ?? modelType
    let known = all.flatMap(\.names).joined(separator: ", ")
    guard let name else {
      throw ConfigError(
        file: file,
        "neither 'architectures' nor 'model_type' says what the model is. Known architectures: "
          + "\(known)."
      )
    }
    throw ConfigError(
      file: file,
      "the architecture '\(name)' is not supported. Supported: \(known).",
      isUnsupported: true
    )
  }
}

/// What is wrong with a model's config.
public struct ConfigError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The config file, as the user named it.
  public let file: String
  /// What is, what was needed, and what to do.
  public let message: String
  /// Whether the config is understood and asks for something that Karat cannot do.
  public let isUnsupported: Bool

  /// Describes a fault in a config.
  public init(file: String, _ message: String, isUnsupported: Bool = false) {
    self.file = file
    self.message = message
    self.isUnsupported = isUnsupported
  }

  /// The message behind the file's name.
  public var description: String { "\(file): \(message)" }
}
