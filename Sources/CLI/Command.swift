import ArgumentParser
import Foundation
import Karat

/// The command `karat`: what it is called with, and how it ends.
@main
struct KaratCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "karat",
    abstract: "Convert, quantize, train and verify model checkpoints.",
    discussion: """
      A checkpoint is a Hugging Face folder, a .safetensors file or a .gguf file. Results go to \
      standard output, progress and messages to standard error.

      Exit codes: 0 done; 1 the gate says FAIL; 3 the gate says UNDECIDED; 64 usage; 65 bad input \
      data; 66 no such input; 70 a fault of ours; 73 the output exists; 74 input or output failed.
      """,
    version: ModelRecord.toolVersion,
    subcommands: [
      InspectCommand.self, ConvertCommand.self, QuantizeCommand.self, QATCommand.self,
      DistillCommand.self,
      VerifyCommand.self, RunCommand.self, GenerateCommand.self, TokenizeCommand.self,
      LogitsCommand.self,
      BenchCommand.self,
    ]
  )

  static func main() {
    // A full quota or a closed pipe is an error to report, not a reason to die without a word.
    signal(SIGXFSZ, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      guard let failure = Failure(error) else { exit(withError: error) }
      Terminal.standard.message("karat: \(failure.message)")
      exit(withError: ExitCode(failure.code))
    }
  }
}
