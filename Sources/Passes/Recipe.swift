public import KaratBytes

/// An ordered, versioned list of passes with their options, as written in YAML.
///
/// Unknown keys are refused, so that a misspelt option never goes unnoticed.
public struct Recipe: Sendable {
  /// The version of the recipe language; 1.
  public static let version = 1

  /// Makes the same choices for the same seed.
  public var seed: UInt64
  /// The passes, in order.
  public var passes: [any Pass]
  /// Patterns of linear layers that stay as they are.
  public var ignored: [String]
  /// How the verifier judges the result, where it is asked to.
  public var verification: Verification?
  /// What `karat run` reads and writes.
  public var files: Files

  /// How the verifier judges the result of each pass.
  public struct Verification: Sendable, Hashable {
    /// The most that the perplexity may rise, as a fraction.
    public var maximumDrop: Double?
    /// The held-out text.
    public var data: String?
    /// Tokens of one window.
    public var window: Int?
    /// How many windows at most.
    public var windows: Int?

    /// The verifier's own defaults.
    public init() {}
  }

  /// The files that `karat run` reads and writes.
  public struct Files: Sendable, Hashable {
    /// The model that the passes start from.
    public var model: String?
    /// Where the result goes.
    public var output: String?
    /// The calibration text.
    public var calibration: String?

    /// No file is named.
    public init() {}
  }

  /// Makes a recipe of passes.
  public init(passes: [any Pass], ignored: [String] = [], seed: UInt64 = 0) {
    self.passes = passes
    self.ignored = ignored
    self.seed = seed
    files = Files()
  }

  /// Whether any pass runs the model over calibration text.
  public var needsCalibrationText: Bool { passes.contains { type(of: $0).needsCalibrationText } }

  /// The recipe as a record carries it: passes with all their options, without file names.
  public var json: JSONValue {
    var object = JSONObject()
    object["version"] = .number(JSONNumber(Self.version))
    object["seed"] = .number(JSONNumber(seed))
    object["passes"] = .array(passes.map { pass in .object([(type(of: pass).name, pass.json)]) })
    object["ignore"] = .array(ignored.map(JSONValue.string))
    return .object(object)
  }
}

extension JSONObject {
  fileprivate init(_ members: [(String, JSONValue)]) {
    self.init()
    for (key, value) in members { self[key] = value }
  }
}

extension JSONValue {
  fileprivate static func object(_ members: [(String, JSONValue)]) -> JSONValue {
    .object(JSONObject(members))
  }
}

/// Why a recipe cannot be followed.
public struct RecipeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file, as the user named it.
  public let file: String
  /// What is, what was needed, and what to do.
  public let message: String

  package init(file: String, _ message: String) {
    self.file = file
    self.message = message
  }

  /// The message behind the file's name.
  public var description: String { "\(file): \(message)" }
}
