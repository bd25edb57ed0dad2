import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// How bad input and bad output end: the exit code, the message, and nothing left behind.
  @Suite struct Failures {
    @Test func noSuchInput() throws {
      try inWorkplace { place in
        for arguments in [
          ["inspect", "absent"], ["tokenize", "absent", "--text", "a"],
          ["convert", "absent", "out"],
          ["verify", "absent", fixture("alice"), "--data", "text"],
        ] {
          let outcome = try place.run(arguments)
          #expect(outcome.status == 66)
          #expect(
            outcome.errors
              == "karat: absent: it cannot be opened: no such file or directory (2). Check the path.\n"
          )
          #expect(outcome.output == "")
        }
        #expect(try place.names() == [])
      }
    }

    @Test func aTruncatedCheckpoint() throws {
      try inWorkplace { place in
        try place.copy("llama-tiny", as: "model")
        let bytes = try place.read("model/model.safetensors")
        try Data(bytes.dropLast(1000)).write(
          to: URL(filePath: place.path("model/model.safetensors"))
        )
        for arguments in [
          ["inspect", "model"], ["convert", "model", "out"],
          ["logits", "model", "--ids", "1,2", "--output", "out.safetensors"],
        ] {
          let outcome = try place.run(arguments)
          #expect(outcome.status == 65)
          #expect(
            outcome.message
              == "karat: model/model.safetensors: behind the header are 525080 bytes; the tensors need 526080. It was cut off; fetch it again."
          )
        }
        #expect(try place.names() == ["model"])
      }
    }

    @Test func aShardThatTheIndexNamesAndTheFolderLacks() throws {
      try inWorkplace { place in
        #expect(
          try place.karat(
            "convert",
            fixture("llama-tiny"),
            "model",
            "--shard-size",
            "200KB"
          ).status == 0
        )
        let shards = try place.names(in: "model").filter { $0.hasSuffix(".safetensors") }
        #expect(shards.count == 3)
        #expect(try place.karat("inspect", "model").status == 0)
        try FileManager.default.removeItem(atPath: place.path("model/" + shards[1]))
        let outcome = try place.karat("inspect", "model")
        #expect(outcome.status == 66)
        #expect(
          outcome.errors
            == "karat: model/\(shards[1]): the index model/model.safetensors.index.json names this file, and it is not there. Fetch it as well.\n"
        )
      }
    }

    @Test func anUnsupportedArchitecture() throws {
      try inWorkplace { place in
        var model = try EditedModel("llama-tiny")
        model.config["architectures"] = ["GPTNeoXForCausalLM"]
        try model.write(to: place.path("model"))
        let outcome = try place.karat("logits", "model", "--ids", "1", "--output", "o.safetensors")
        #expect(outcome.status == 65)
        let known = Architecture.all.flatMap(\.names).joined(separator: ", ")
        #expect(
          outcome.errors
            == "karat: model/config.json: the architecture 'GPTNeoXForCausalLM' is not supported. Supported: \(known).\n"
        )
        // What only copies tensors does not mind.
        #expect(try place.karat("convert", "model", "copy").status == 0)
      }
    }

    @Test func aCalibrationTextThatIsEmptyOrTooShort() throws {
      try inWorkplace { place in
        try place.write("", to: "empty.txt")
        try place.write("Call me Ishmael.", to: "short.txt")
        try Data([0x41, 0xff, 0x42]).write(to: URL(filePath: place.path("binary.txt")))
        let empty = try place.karat(
          "quantize",
          fixture("alice"),
          "out",
          "--calibration",
          "empty.txt"
        )
        #expect(empty.status == 65)
        #expect(
          empty.message
            == "karat: empty.txt: the calibration text has no tokens. Give a text like those that the model will read."
        )
        let short = try place.karat(
          "quantize",
          fixture("alice"),
          "out",
          "--calibration",
          "short.txt"
        )
        #expect(short.status == 65)
        let tokens = try ModelTokenizer.open(fixture("alice"))
          .encode("Call me Ishmael.", addSpecialTokens: false).count
        #expect(
          short.message
            == "karat: short.txt: the calibration text has \(tokens) tokens; one window needs 128. Give more text, or ask for shorter windows."
        )
        let binary = try place.karat(
          "quantize",
          fixture("alice"),
          "out",
          "--calibration",
          "binary.txt"
        )
        #expect(binary.status == 65)
        #expect(
          binary.message
            == "karat: binary.txt: the 3 bytes are not text in UTF-8. Convert the file, or choose another."
        )
        let none = try place.karat("quantize", fixture("alice"), "out")
        #expect(none.status == 65)
        #expect(
          none.message
            == "karat: the recipe runs the model over text to calibrate, and no text was given. Give one: --calibration TEXT."
        )
        let verified = try place.karat(
          "verify",
          fixture("alice"),
          fixture("alice"),
          "--data",
          "empty.txt"
        )
        #expect(verified.status == 65)
        #expect(
          verified.message
            == "karat: empty.txt: the text has 0 tokens; at least 2 are needed, since the first of a window is not scored."
        )
        #expect(try place.names() == ["binary.txt", "empty.txt", "short.txt"])
      }
    }

    @Test func anOutputThatExists() throws {
      try inWorkplace { place in
        try FileManager.default.createDirectory(
          atPath: place.path("mine"),
          withIntermediateDirectories: false
        )
        try place.write("precious", to: "mine/notes.txt")
        let folder = try place.karat("convert", fixture("llama-tiny"), "mine")
        #expect(folder.status == 73)
        #expect(
          folder.errors
            == "karat: mine: it exists already. Choose another name, or replace it with --force.\n"
        )
        let forced = try place.karat("convert", fixture("llama-tiny"), "mine", "--force")
        #expect(forced.status == 73)
        #expect(
          forced.errors
            == "karat: mine: it exists already and holds no karat.json, so it is not certain that it may go. Choose another name, or remove it yourself.\n"
        )
        #expect(try place.names(in: "mine") == ["notes.txt"])

        try place.write("precious", to: "file.safetensors")
        let file = try place.karat("convert", fixture("llama-tiny"), "file.safetensors")
        #expect(file.status == 73)
        #expect(try place.read("file.safetensors") == Array("precious".utf8))
        #expect(
          try place.karat("convert", fixture("llama-tiny"), "file.safetensors", "--force").status
            == 0
        )
        #expect(try place.read("file.safetensors").count > 500_000)

        // Quantizing looks before it works.
        let quantized = try place.karat(
          "quantize",
          fixture("alice"),
          "mine",
          "--calibration",
          fixture("text/botchan-heldout.txt")
        )
        #expect(quantized.status == 73)
        #expect(quantized.errors == folder.errors)
      }
    }

    @Test func aFolderThatKaratWroteIsReplacedWithForce() throws {
      try inWorkplace { place throws in
        #expect(try place.karat("convert", fixture("alice"), "out").status == 0)
        #expect(try place.names(in: "out").contains("tokenizer.json"))
        #expect(try place.karat("convert", fixture("llama-tiny"), "out", "--force").status == 0)
        // Nothing of the first is left.
        #expect(!(try place.names(in: "out").contains("tokenizer.json")))
        #expect(try place.names() == ["out"])
      }
    }

    @Test func aFullDisk() throws {
      try inWorkplace { place in
        for output in ["out", "out.safetensors"] {
          let outcome = try place.karat(
            "convert",
            fixture("llama-tiny"),
            output,
            shell: "ulimit -f 200;"
          )
          #expect(outcome.status == 74)
          #expect(
            outcome.message.hasSuffix(
              " it cannot be written: file too large (27). Free some space, or write to another disk."
            )
          )
          #expect(try place.names() == [])
        }
        // A reader of the output that is full, or has gone.
        let full = try place.karat("inspect", fixture("llama-tiny"), redirected: "> /dev/full")
        #expect(full.status == 74)
        #expect(
          full.errors
            == "karat: standard output: it cannot be written: no space left on device (28). Free some space, or write to another disk.\n"
        )
      }
    }

    @Test func usage() throws {
      try inWorkplace { place in
        let alice = fixture("alice")
        let cases: [([String], String)] = [
          (["convert", "only"], "Missing expected argument '<output>'"),
          (["inspect", "a", "--colour"], "Unknown option '--colour'"),
          (["dance"], "Unexpected argument 'dance'"),
          (["logits", alice, "--output", "o"], "give either --ids or --text."),
          (
            ["logits", alice, "--ids", "1,x", "--output", "o"],
            "--ids takes whole numbers separated by commas; 'x' is none."
          ),
          (
            ["logits", alice, "--ids", "1", "--output", "o", "--threads", "0"],
            "--threads takes a number from 1 to 1024."
          ),
          (
            ["quantize", alice, "o", "--preset", "int9"],
            "no preset is named 'int9'. Did you mean 'int8'?"
          ),
          (
            ["verify", alice, alice, "--data", "t", "--window", "1"],
            "--window takes a number from 2."
          ),
          (
            ["convert", alice, "o", "--shard-size", "nan"],
            "--shard-size takes a size such as 5GB, not 'nan'."
          ),
          (
            ["generate", alice, "--prompt", "a", "--system", "b"],
            "--system takes --chat beside it."
          ),
          (
            ["generate", alice, "--prompt", "a", "--top-p", "0"],
            "--top-p takes a number above 0, to 1."
          ),
        ]
        for (arguments, message) in cases {
          let outcome = try place.run(arguments)
          #expect(outcome.status == 64, "\(arguments)")
          #expect(outcome.errors.contains(message), "\(outcome.errors)")
          #expect(outcome.output == "")
        }
        #expect(try place.names() == [])
      }
    }

    @Test func aRecipeWithAMisspeltOption() throws {
      try inWorkplace { place in
        try place.write("version: 1\npasses:\n  - calibrate: { windws: 3 }\n", to: "r.yaml")
        let outcome = try place.karat("quantize", fixture("alice"), "out", "--recipe", "r.yaml")
        #expect(outcome.status == 65)
        #expect(
          outcome.message.hasPrefix(
            "karat: r.yaml: 'calibrate' has no 'windws'. Did you mean 'windows'? Known: "
          )
        )
        let run = try place.karat("run", "r.yaml")
        #expect(run.status == 65)
        #expect(run.errors == outcome.errors)
        #expect(try place.names() == ["r.yaml"])
      }
    }
  }
}
