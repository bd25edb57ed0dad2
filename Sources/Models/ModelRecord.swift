public import KaratBytes

/// What `karat.json` in an output folder says: how the model came about, from what, and what that
/// cost.
public struct ModelRecord: Sendable {
  /// The file's name in a model folder.
  public static let fileName = "karat.json"
  /// The version of the tool.
  public static let toolVersion = "0.1.0"

  /// What was done: the command, without paths.
  public var command: String
  /// The recipe, where one was followed.
  public var recipe: JSONValue?
  /// The calibration text: name, hash, tokens; where there was one.
  public var calibration: JSONValue?
  /// What the verifier found, after each pass.
  public var verification: [JSONValue]

  /// Describes how a model came about.
  public init(
    command: String,
    recipe: JSONValue? = nil,
    calibration: JSONValue? = nil,
    verification: [JSONValue] = []
  ) {
    self.command = command
    self.recipe = recipe
    self.calibration = calibration
    self.verification = verification
  }

  /// A file's name, size and hash, as the record lists it.
  ///
  /// - Throws: `FileError` where it cannot be read.
  public static func entry(_ path: String, as name: String? = nil) throws(FileError) -> JSONValue {
    let status = try FileStatus(of: path)
    var object = JSONObject()
    object["file"] = .string(name ?? lastComponent(of: path))
    object["bytes"] = .number(JSONNumber(status.byteCount))
    object["sha256"] = .string(try SHA256Digest.file(path).description)
    return .object(object)
  }

  func json(inputs: [JSONValue], outputs: [JSONValue]) -> JSONValue {
    var object = JSONObject()
    object["karat"] = .string(Self.toolVersion)
    object["command"] = .string(command)
    object["recipe"] = recipe ?? .null
    object["calibration"] = calibration ?? .null
    object["inputs"] = .array(inputs)
    object["outputs"] = .array(outputs)
    object["verification"] = .array(verification)
    return .object(object)
  }

  private static func lastComponent(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
