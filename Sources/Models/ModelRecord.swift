public import KaratBytes
import KaratKernels
import Synchronization

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
  /// How students came about that the recipe made; nil where it made none.
  public var students: [JSONValue]?

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

  /// The names, sizes and hashes of files, as the record lists them; several are hashed at a time.
  ///
  /// - Parameters:
  ///   - files: the names in the record, and where the files are.
  ///   - isHashed: whether the contents are read for their SHA-256, at about 1.5 GB/s for each core.
  /// - Returns: an entry for each file, in their order.
  /// - Throws: `FileError` where one cannot be read.
  package static func entries(
    _ files: [(name: String, path: String)],
    isHashed: Bool
  ) throws(FileError) -> [JSONValue] {
    let results: Mutex<[Result<JSONValue, FileError>?]> = Mutex(
      Array(repeating: nil, count: files.count)
    )
    Workers.automatic.forEachTile(files.count) { place in
      let result = Result { () throws(FileError) in
        try entry(files[place].path, as: files[place].name, isHashed: isHashed)
      }
      results.withLock { $0[place] = result }
    }
    var entries: [JSONValue] = []
    for result in results.withLock(\.self) {
      if let entry = try result?.get() { entries.append(entry) }
    }
    return entries
  }

  private static func entry(
    _ path: String,
    as name: String,
    isHashed: Bool
  ) throws(FileError) -> JSONValue {
    let status = try FileStatus(of: path)
    var object = JSONObject()
    object["file"] = .string(name)
    object["bytes"] = .number(JSONNumber(status.byteCount))
    object["sha256"] = isHashed ? .string(try SHA256Digest.file(path).description) : .null
    return .object(object)
  }

  package func json(inputs: [JSONValue], outputs: [JSONValue]) -> JSONValue {
    var object = JSONObject()
    object["karat"] = .string(Self.toolVersion)
    object["command"] = .string(command)
    object["recipe"] = recipe ?? .null
    object["calibration"] = calibration ?? .null
    if let students { object["students"] = .array(students) }
    object["inputs"] = .array(inputs)
    object["outputs"] = .array(outputs)
    object["verification"] = .array(verification)
    return .object(object)
  }
}
