import Foundation
import Karat
import Testing

extension Command {
  /// The help texts, word for word.
  ///
  /// To record them anew: `KARAT_RECORD=1 swift test -c release
  /// --filter Help`, then read the difference.
  @Suite struct Help {
    private static let golden = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Golden")

    @Test(arguments: [
      "karat", "inspect", "convert", "quantize", "qat", "distill", "verify", "run", "generate",
      "tokenize", "logits", "bench",
    ])
    func saysWhatItSaid(_ name: String) throws {
      try inWorkplace { place in
        let help =
          name == "karat"
          ? try place.karat("--help") : try place.karat(name, "--help")
        #expect(help.status == 0)
        #expect(help.errors == "")
        let file = Self.golden.appending(path: "\(name).txt")
        if ProcessInfo.processInfo.environment["KARAT_RECORD"] != nil {
          try Data(help.output.utf8).write(to: file)
        }
        #expect(help.output == (try String(contentsOf: file, encoding: .utf8)))
      }
    }

    @Test func namesEveryCommand() throws {
      try inWorkplace { place in
        let help = try place.karat("--help").output
        let listed = help.split(separator: "\n").filter { $0.hasPrefix("  ") }
          .compactMap { $0.split(separator: " ").first.map(String.init) }
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.golden.path)
        for file in files where file != "karat.txt" {
          #expect(listed.contains(String(file.dropLast(4))))
        }
        #expect(try place.karat("--version").output == ModelRecord.toolVersion + "\n")
      }
    }
  }
}
