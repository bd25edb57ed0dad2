import Foundation
import KaratTestSupport
import Testing

/// The built command, run as a process in a temporary folder.
///
/// One after the other: each takes all cores.
@Suite(.serialized) struct Command {}

/// How a run of the command ended.
struct Outcome {
  let status: Int32
  let output: String
  let errors: String

  /// The last line of standard error: the message, behind progress.
  var message: String { errors.split(separator: "\n").last.map(String.init) ?? "" }
}

/// A folder that runs happen in; paths in messages are relative to it.
struct Workplace {
  let folder: String

  func path(_ name: String) -> String { folder + "/" + name }

  func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path(name)))
  }

  func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: path(name))))
  }

  /// The names in the folder, hidden ones too.
  func names(in name: String = ".") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path(name)).sorted()
  }

  /// Copies a fixture under a name.
  func copy(_ fixtureName: String, as name: String) throws {
    try FileManager.default.copyItem(atPath: fixture(fixtureName), toPath: path(name))
  }

  /// The beginning of a text among the fixtures, as a file.
  func text(_ fixtureName: String, characters: Int, as name: String) throws {
    let text = try String(contentsOfFile: fixture("text/" + fixtureName), encoding: .utf8)
    try write(String(text.prefix(characters)), to: name)
  }

  /// Runs the command.
  ///
  /// - Parameters:
  ///   - arguments: what follows `karat`.
  ///   - input: its standard input.
  ///   - shell: shell code before it, such as `ulimit -f 1;`.
  ///   - redirected: shell code behind it, such as `> /dev/full`.
  /// - Returns: how it ended.
  /// - Throws: what keeps it from being run.
  func karat(
    _ arguments: String...,
    input: String = "",
    shell: String = "",
    redirected: String = ""
  ) throws -> Outcome {
    try run(arguments, input: input, shell: shell, redirected: redirected)
  }

  func run(
    _ arguments: [String],
    input: String = "",
    shell: String = "",
    redirected: String = ""
  ) throws -> Outcome {
    let streams = FileManager.default.temporaryDirectory.appending(path: "karat-\(UUID())")
    try FileManager.default.createDirectory(at: streams, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: streams) }
    func stream(_ name: String, _ content: String = "") throws -> FileHandle {
      let file = streams.appending(path: name)
      try Data(content.utf8).write(to: file)
      return try FileHandle(forUpdating: file)
    }
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments =
      ["-c", "\(shell) exec \"$0\" \"$@\" \(redirected)", Self.command] + arguments
    process.currentDirectoryURL = URL(filePath: folder)
    process.environment = ProcessInfo.processInfo.environment.merging(["COLUMNS": "80"]) { $1 }
    process.standardInput = try stream("input", input)
    process.standardOutput = try stream("output")
    process.standardError = try stream("errors")
    try process.run()
    process.waitUntilExit()
    func text(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: streams.appending(path: name)), as: UTF8.self)
    }
    // A signal is told apart from an exit code.
    let status = process.terminationStatus
    return Outcome(
      status: process.terminationReason == .exit ? status : -status,
      output: try text("output"),
      errors: try text("errors")
    )
  }

  /// The command lies beside the bundle of tests.
  static let command =
    URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "karat")
    .path
}

func inWorkplace(_ body: (Workplace) throws -> Void) throws {
  try inTemporaryFolder { try body(Workplace(folder: $0)) }
}
