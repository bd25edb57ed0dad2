import ArgumentParser
import Karat

struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a checkpoint in another format or number type."
  )

  @Argument(help: "A model folder, a .safetensors file or a .gguf file.")
  var input: String

  @Argument(help: "What to write: a folder, or a file that ends in .safetensors.")
  var output: String

  @Option(help: "The format to write: safetensors.")
  var to: OutputFormat?

  @Option(help: "The type of floating-point tensors: f32, f16 or bf16.")
  var dtype: FloatType?

  @OptionGroup var options: OutputOptions

  private var isFile: Bool { output.hasSuffix(".safetensors") }

  func validate() throws {
    let others = [".gguf", ".kcf", ".bin", ".pt", ".pth"].filter { output.hasSuffix($0) }
    if let ending = others.first, to == nil {
      throw ValidationError(
        "'\(output)' ends in \(ending), which cannot be written. Name a folder, or a file that ends "
          + "in .safetensors."
      )
    }
    if isFile, options.shardSize != nil {
      throw ValidationError("--shard-size splits a folder; '\(output)' is a single file.")
    }
  }

  func run() throws {
    let terminal = Terminal.standard
    let conversion = try Conversion(input, dtype: dtype?.dtype)
    if isFile {
      try conversion.writeFile(output, replacing: options.force, progress: terminal.progress)
    } else {
      try conversion.writeFolder(
        output,
        options.writer
      )
    }
    terminal.message("Wrote \(output).")
  }
}

/// The formats that can be written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case safetensors
}

/// The types that floating-point tensors can be cast to.
enum FloatType: String, ExpressibleByArgument, CaseIterable {
  case f32, f16, bf16

  var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }
}
