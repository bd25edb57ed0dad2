import Foundation
import KaratBytes
import KaratCheckpoints
public import KaratEngine
public import KaratTensors

/// A folder in which a training keeps its states and metrics, so that it can go on after an
/// interruption: `state-00000100.safetensors` and `metrics.jsonl`.
///
/// A state appears whole or not at all; the newest whole one is where training goes on.
public struct TrainingFolder: TrainingArchive {
  /// The folder.
  public let path: String
  /// The folders that it is in, where it is a part's, the outermost first.
  private let parents: [String]

  /// The folder of states beside an output, `OUTPUT.training`.
  public init(besides output: String) {
    var output = Substring(output)
    while output.count > 1, output.hasSuffix("/") { output = output.dropLast() }
    path = output + ".training"
    parents = []
  }

  private init(_ name: String, in parent: TrainingFolder) {
    path = Folder.join(parent.path, name)
    parents = parent.parents + [parent.path]
  }

  /// The folder of a part of the training, in this one.
  public func part(_ name: String) -> any TrainingArchive {
    TrainingFolder(name, in: self)
  }

  /// The metrics of every step so far, one JSON object to a line.
  public var metricsPath: String { Folder.join(path, "metrics.jsonl") }

  /// The newest whole state, or nil where there is none.
  ///
  /// - Throws: `FileError` where the folder cannot be read, `CheckpointError` where a state is broken.
  public func newest() throws -> (any TensorSource)? {
    guard let step = try steps().last else { return nil }
    return try SafetensorsReader(place(of: step))
  }

  /// Writes a state, and removes all but the newest.
  public func save(_ state: any TensorSource, step: Int, keeping count: Int) throws {
    try create()
    let writer = SafetensorsWriter(metadata: state.manifest.metadata, replacing: true)
    try writer.write(state, to: place(of: step))
    for old in try steps().dropLast(max(count, 1)) {
      try FileManager.default.removeItem(atPath: place(of: old))
    }
  }

  /// Appends a line to the metrics.
  public func append(_ metrics: TrainingMetrics) throws {
    try create()
    try add(metrics.json().serialized(indent: nil) + [UInt8(ascii: "\n")])
  }

  /// Keeps the metrics of the steps before one.
  public func rewind(to step: Int) throws {
    guard FileManager.default.fileExists(atPath: metricsPath) else { return }
    let lines = try ReadableFile.contents(of: metricsPath).split(separator: UInt8(ascii: "\n"))
    // The last line may have been cut by what ended the run.
    let kept = lines.prefix(step).filter { (try? JSONValue.parse(Array($0))) != nil }
    var file = try AtomicFile(metricsPath, replacing: true)
    for line in kept { try file.write(Array(line) + [UInt8(ascii: "\n")]) }
    try file.commit()
  }

  /// The metrics of all steps so far, those of earlier runs and of parts included, part by part.
  ///
  /// - Returns: for each part its path in the folder, and the objects of its lines.
  /// - Throws: `FileError` where a file cannot be read.
  public func metrics() throws -> [(part: String, steps: [JSONObject])] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    var found: [(part: String, steps: [JSONObject])] = []
    if FileManager.default.fileExists(atPath: metricsPath) {
      let lines = try ReadableFile.contents(of: metricsPath).split(separator: UInt8(ascii: "\n"))
      found.append(("", lines.compactMap { (try? JSONValue.parse(Array($0)))?.object }))
    }
    let names = try Folder.names(in: path).sorted {
      $0.compare($1, options: .numeric) == .orderedAscending
    }
    for name in names {
      var isFolder: ObjCBool = false
      let inner = TrainingFolder(name, in: self)
      guard FileManager.default.fileExists(atPath: inner.path, isDirectory: &isFolder),
        isFolder.boolValue
      else { continue }
      found += try inner.metrics().map { ($0.part.isEmpty ? name : "\(name)/\($0.part)", $0.steps) }
    }
    return found
  }

  /// Removes the folder, where training is done and its result is written.
  public func remove() throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    try FileManager.default.removeItem(atPath: path)
  }

  private func create() throws {
    for path in parents + [path] { _ = try Folder.made(path) }
  }

  private func add(_ bytes: [UInt8]) throws {
    guard let file = fopen(metricsPath, "ab") else {
      throw FileError(errno: errno, metricsPath, .open)
    }
    let written = fwrite(bytes, 1, bytes.count, file)
    let code = errno
    guard fclose(file) == 0, written == bytes.count else {
      throw FileError(errno: code, metricsPath, .write)
    }
  }

  private func place(of step: Int) -> String {
    Folder.join(path, Self.prefix + String(format: "%08d", step) + Self.suffix)
  }

  /// The steps of which there is a state, in order.
  private func steps() throws -> [Int] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try Folder.names(in: path).compactMap { name in
      guard name.hasPrefix(Self.prefix), name.hasSuffix(Self.suffix) else { return nil }
      return Int(name.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))
    }.sorted()
  }

  private static let prefix = "state-"
  private static let suffix = ".safetensors"
}
