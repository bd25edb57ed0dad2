import ArgumentParser
import Foundation
import Karat

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Time the prefill, the training or the tokenizers of models, side by side.",
    discussion: """
      All contestants run in turn, over and over, and their medians are compared, so that a noisy \
      machine is as noisy for each. A peer is a program that does as much work and prints the \
      seconds it took for every line 'run' on its standard input. With --encode, the lines of a \
      file are turned into tokens, on one thread.
      """
  )

  @Argument(help: "Models; the first is what the others are measured against.")
  var models: [String]

  @Option(help: "A command that runs a peer, through the shell.")
  var peer: String?

  @Option(help: "Tokens of the prefill.")
  var tokens = 512

  @Option(help: "Time the tokenizers, on the lines of this file, and not the prefill.")
  var encode: String?

  @Flag(help: "Time a step of training on the tokens, and not the prefill.")
  var train = false

  @Option(
    help: "In which numbers matrices are multiplied in training: f32, bf16, f16 or f8.",
    transform: arithmetic(named:)
  )
  var arithmetic = TrainingOptions.Arithmetic.f32

  @Option(help: "How many times each runs.")
  var rounds = 7

  @OptionGroup var resources: RunOptions

  func validate() throws {
    guard !models.isEmpty else { throw ValidationError("name at least one model.") }
    guard tokens >= 1, rounds >= 1 else {
      throw ValidationError("--tokens and --rounds take numbers from 1.")
    }
  }

  func run() throws {
    let threads = resources.threads
    if train { Allocator.keepBuffers() }
    let lines = try encode.map { path in
      try ReadableFile.contents(of: path).split(
        separator: UInt8(ascii: "\n"),
        omittingEmptySubsequences: false
      ).map(Array.init)
    }
    var contestants = try models.map { path in
      if let lines { return try Contestant(path, encoding: lines) }
      return train
        ? try Contestant(path, training: tokens, arithmetic, threads: threads)
        : try Contestant(path, tokens: tokens, threads: threads)
    }
    if let peer { contestants.append(try Contestant(peer: peer)) }
    for contestant in contestants { _ = try contestant.run() }
    var times = contestants.map { _ in [Double]() }
    for round in 0..<rounds {
      Terminal.standard.progress.report("bench", round, of: rounds, "rounds")
      for (index, contestant) in contestants.enumerated() {
        times[index].append(try contestant.run())
      }
    }
    Terminal.standard.progress.report("bench", rounds, of: rounds, "rounds")
    let medians = times.map { $0.sorted()[rounds / 2] }
    for (contestant, (median, all)) in zip(contestants, zip(medians, times)) {
      let spread = "\(format(all.min() ?? 0)) to \(format(all.max() ?? 0)) s"
      let speed =
        if let lines {
          String(format: "%.1f MB/s", Double(lines.reduce(0) { $0 + $1.count + 1 }) / 1e6 / median)
        } else {
          String(format: "%.0f tokens/s", Double(tokens) / median)
        }
      let ratio = String(format: "%.2f times the first", medians[0] / median)
      Terminal.standard.result(
        "\(contestant.name): \(format(median)) s (\(spread)), \(speed), \(ratio)"
      )
    }
  }

  private func format(_ seconds: Double) -> String { String(format: "%.3f", seconds) }
}

/// Something whose prefill is timed.
private struct Contestant {
  let name: String
  /// Runs once and gives the seconds it took.
  let run: () throws -> Double

  init(_ path: String, tokens: Int, threads: Int?) throws {
    let executor = Executor(try LoadedModel.open(path).model, threads: threads)
    // Any tokens do: the arithmetic does not depend on which they are.
    let window = (0..<tokens).map { Int32($0 * 7 % executor.vocabularySize) }
    name = path
    run = { try Self.seconds { try executor.prefill(window) } }
  }

  init(
    _ path: String,
    training tokens: Int,
    _ arithmetic: TrainingOptions.Arithmetic,
    threads: Int?
  ) throws {
    let training = try TimedTraining(
      try LoadedModel.open(path).model,
      tokens: tokens,
      arithmetic: arithmetic,
      threads: threads
    )
    name = path
    run = { try Self.seconds { try training.takeStep() } }
  }

  init(_ path: String, encoding lines: [[UInt8]]) throws {
    let tokenizer = try ModelTokenizer.open(path)
    name = path
    run = {
      Self.seconds {
        for line in lines { _ = tokenizer.encode(utf8: line, addSpecialTokens: false) }
      }
    }
  }

  private static func seconds(_ work: () throws -> Void) rethrows -> Double {
    let duration = try ContinuousClock().measure(work)
    return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
  }

  init(peer command: String) throws {
    let process = Process()
    let (input, output) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    name = "peer"
    run = {
      try input.fileHandleForWriting.write(contentsOf: Data("run\n".utf8))
      var line = Data()
      while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
        guard !byte.isEmpty else { break }
        line.append(byte)
      }
      let text = String(decoding: line, as: UTF8.self)
      guard let seconds = Double(text.filter { !$0.isWhitespace }) else {
        throw ValidationError("the peer printed '\(text)'; the seconds of one run were needed.")
      }
      return seconds
    }
  }
}
