import ArgumentParser
import Foundation
import Karat
import KaratPasses

/// Options that every command which runs a model takes.
struct RunOptions: ParsableArguments {
  @Option(help: "How many threads to run on; the results are the same for any number.")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads takes a number from 1 to 1024.")
    }
  }
}

/// How much memory a command that runs models may take.
struct MemoryOptions: ParsableArguments {
  @Option(
    help: "How much memory the command may take, such as 4GB; 3/4 of what is free otherwise.",
    transform: { try bytes($0, of: "--memory") }
  )
  var memory: Int?

  /// What the command may take: what the user says, or most of what is free, which is said where
  /// there is a terminal to say it on.
  func budget(_ terminal: Terminal?) -> MemoryBudget {
    if let memory {
      returnLargeBuffers()
      return .process(bytes: memory)
    }
    let budget = MemoryBudget.machine
    terminal?.message(
      String(
        format: "Memory: up to %.1f GB, as free here; --memory sets it.",
        Double(budget.total) / 1e9
      )
    )
    return budget
  }

  /// Has large buffers given back to the system as soon as they are freed.
  ///
  /// glibc otherwise learns to keep them, and a process holds several times what it uses.
  private func returnLargeBuffers() {
    Allocator.set(mapThreshold: 1 << 20, trimThreshold: 8 << 20)
  }
}

/// How glibc's allocator treats large buffers; other C libraries lack the call.
enum Allocator {
  /// Has buffers up to 32 MB kept when they are freed: training takes the same ones in every step, and
  /// the system clears each page anew that it gives out.
  static func keepBuffers() {
    set(mapThreshold: 32 << 20, trimThreshold: .max)
  }

  /// - Parameters:
  ///   - mapThreshold: the bytes from which a buffer is pages of its own, given back when it is freed.
  ///   - trimThreshold: the free bytes at the end of memory that are kept.
  fileprivate static func set(mapThreshold: Int32, trimThreshold: Int32) {
    guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, "mallopt") else {
      return
    }
    typealias SetOption = @convention(c) (_ option: Int32, _ value: Int32) -> Int32
    let setOption = unsafeBitCast(symbol, to: SetOption.self)
    _ = setOption(-3, mapThreshold)
    _ = setOption(-1, trimThreshold)
  }
}

/// Options of the text that models are compared on.
struct WindowOptions: ParsableArguments {
  static let defaultLength = 512

  @Option(help: "Tokens of one window.")
  var window = defaultLength

  @Option(help: "How many windows to take at most, from the beginning of the text.")
  var windows: Int?

  func validate() throws {
    guard window >= 2 else { throw ValidationError("--window takes a number from 2.") }
    if let windows, windows < 1 { throw ValidationError("--windows takes a number from 1.") }
  }
}

/// In which form an output is written.
struct FormOptions: ParsableArguments {
  @Option(help: "The format to write; otherwise the output's name tells it.")
  var to: OutputFormat?

  func form(of output: String) throws -> ModelForm {
    try Self.form(of: output, to: to)
  }

  static func form(of output: String, to format: OutputFormat? = nil) throws -> ModelForm {
    if let form = ModelForm(path: output, format: format?.format) { return form }
    throw ValidationError(
      "'\(output)' ends as files do that cannot be written. Name a folder, or a file that ends in "
        + ".safetensors, .kcf or .gguf."
    )
  }
}

/// The formats that can be written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case safetensors, kcf, gguf

  var format: CheckpointFormat {
    switch self {
    case .safetensors: .safetensors
    case .kcf: .kcf
    case .gguf: .gguf
    }
  }
}

/// Where a folder is written, and how.
struct OutputOptions: ParsableArguments {
  @Option(
    help: "The most bytes of tensors in one file, such as 5GB or 200MB.",
    transform: { try bytes($0, of: "--shard-size") }
  )
  var shardSize: Int?

  /// Refuses to split a single file.
  func checkShards(of output: String, as form: ModelForm) throws {
    guard form != .folder, shardSize != nil else { return }
    throw ValidationError("--shard-size splits a folder; '\(output)' is a single file.")
  }

  @Flag(help: "Replace an output that Karat wrote before.")
  var force = false

  @Flag(help: "Leave the SHA-256 of the files out of karat.json: large ones take time.")
  var noHashes = false

  /// What writes a model so.
  var writer: ModelWriter {
    ModelWriter(
      shardSize: shardSize,
      replacing: force,
      hashed: !noHashes,
      progress: Terminal.standard.progress
    )
  }
}

/// A size such as 5GB or 1.5GiB in bytes.
private func bytes(_ text: String, of option: String) throws -> Int {
  guard let bytes = byteCount(text) else {
    throw ValidationError("\(option) takes a size such as 5GB, not '\(text)'.")
  }
  return bytes
}

/// A fraction that may be written as a percentage.
struct Percentage: ExpressibleByArgument {
  let fraction: Double

  init?(argument: String) {
    guard let fraction = KaratPasses.fraction(argument) else { return nil }
    self.fraction = fraction
  }
}

/// The gate's verdict as an exit code.
extension Verdict {
  func end() throws {
    switch self {
    case .pass: return
    case .fail: throw ExitCode(1)
    case .undecided: throw ExitCode(3)
    }
  }
}
