"""transformers' Trainer with group_by_length, as its guide shows; training.py runs it and reads the seconds it took.

python trainer.py ROWS.json ENCODER
"""

import json
import sys
import tempfile
import time

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

with open(sys.argv[1], encoding="utf-8") as file:
    given = json.load(file)
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=given["batch_size"],
        num_train_epochs=1,
        group_by_length=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(sys.argv[2]))
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
    trainer = Trainer(model, arguments, train_dataset=given["rows"], processing_class=tokenizer)
    start = time.perf_counter()
    trainer.train()
    print(time.perf_counter() - start)
